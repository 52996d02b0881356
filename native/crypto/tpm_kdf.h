// The key derivation functions of TPM sessions (TPM 2.0 Library Specification, Part 1, section
// 11.4.10), and the HMAC that their keys are for.
#ifndef DEVICE_KEY_CRYPTO_TPM_KDF_H_
#define DEVICE_KEY_CRYPTO_TPM_KDF_H_

#include <initializer_list>
#include <string_view>

#include "crypto/bytes.h"
#include "crypto/sha256.h"
#include "crypto/tpm_hash.h"

namespace device_key {

// KDFa with HMAC-SHA-256: `size` bytes from `key`. `label` without the zero byte that ends it in
// the specification. Throws `crypto_error`, as all of these do.
Bytes KdfA(ByteView key, std::string_view label, ByteView context_u, ByteView context_v,
           size_t size);

// KDFe: as many bytes as `hash` makes, from the x coordinate `z` of a Diffie-Hellman result.
Bytes KdfE(TpmHash hash, ByteView z, std::string_view label, ByteView party_u, ByteView party_v);

// HMAC-SHA-256 (FIPS 198-1) of `parts`, one behind the other.
Sha256Digest HmacSha256(ByteView key, std::initializer_list<ByteView> parts);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_TPM_KDF_H_
