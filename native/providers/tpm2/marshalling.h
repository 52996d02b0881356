// TPM structures as bytes (TPM 2.0 Library Specification, Part 2), by libtss2-mu.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_MARSHALLING_H_
#define DEVICE_KEY_PROVIDERS_TPM2_MARSHALLING_H_

#include <tss2/tss2_tpm2_types.h>

#include "crypto/bytes.h"

namespace device_key {

Bytes Marshalled(const TPM2B_PUBLIC& area);
Bytes Marshalled(const TPM2B_PRIVATE& area);

Bytes Marshalled(const TPMT_PUBLIC& area);
Bytes Marshalled(const TPMT_SIGNATURE& signature);

// These read from `offset` on and move it behind what they have read. False when the bytes are no
// such structure.
bool Unmarshal(const Bytes& bytes, size_t& offset, TPM2B_PUBLIC& area);
bool Unmarshal(const Bytes& bytes, size_t& offset, TPM2B_PRIVATE& area);

// The name of an object with this public area (Part 1, section 16): the number of its hash, and the
// digest. For an object that is named by SHA-256 or SHA-384.
Bytes NameOf(const TPM2B_PUBLIC& area);

// Whether `bytes` have the form of such a name.
bool IsObjectName(ByteView bytes);

// What a TPM2B with a plain buffer holds.
template <class Tpm2b>
ByteView View(const Tpm2b& value) {
  return {value.buffer, value.size};
}

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_MARSHALLING_H_
