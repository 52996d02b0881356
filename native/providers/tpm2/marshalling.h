// Conversion between TPM structures and bytes (TPM 2.0 Library Specification, Part 2), with
// libtss2-mu.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_MARSHALLING_H_
#define DEVICE_KEY_PROVIDERS_TPM2_MARSHALLING_H_

#include <tss2/tss2_tpm2_types.h>

#include "crypto/bytes.h"

namespace device_key {

Bytes Marshalled(const TPM2B_PUBLIC& area);
Bytes Marshalled(const TPM2B_PRIVATE& area);

Bytes Marshalled(const TPMT_PUBLIC& area);
Bytes Marshalled(const TPMT_SIGNATURE& signature);

// These read a structure at `offset` and advance `offset` past it. They return false if the bytes
// are not such a structure.
bool Unmarshal(const Bytes& bytes, size_t& offset, TPM2B_PUBLIC& area);
bool Unmarshal(const Bytes& bytes, size_t& offset, TPM2B_PRIVATE& area);

// The name of an object with this public area (Part 1, section 16): the name algorithm's
// identifier, then the digest. Supports SHA-256 and SHA-384.
Bytes NameOf(const TPM2B_PUBLIC& area);

// Whether `bytes` have the format of such a name.
bool IsObjectName(ByteView bytes);

// The contents of a TPM2B with a plain buffer.
template <class Tpm2b>
ByteView View(const Tpm2b& value) {
  return {value.buffer, value.size};
}

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_MARSHALLING_H_
