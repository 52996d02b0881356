// The PEM format of a TPM key that is stored outside the TPM: "-----BEGIN TSS2 PRIVATE KEY-----".
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TSS2_PRIVATE_KEY_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TSS2_PRIVATE_KEY_H_

#include <cstdint>
#include <string>

#include "crypto/bytes.h"

namespace device_key {

// A loadable key as in "ASN.1 Specification for TPM 2.0 Key Files" (draft-bottomley-tpm2-keys),
// section 3.1, with an authValue and without a policy, so that `openssl -provider tpm2` and other
// programs can use it. The TPM has encrypted the private area; no other TPM can load it.
struct Tss2PrivateKey {
  uint32_t parent;     // a TPM handle: persistent, or TPM_RH_OWNER for the hierarchy's primary
  Bytes public_area;   // marshalled TPM2B_PUBLIC
  Bytes private_area;  // marshalled TPM2B_PRIVATE

  // Throws `crypto_error` if it cannot be encoded.
  std::string ToPem() const;
  // Throws `store_corrupt` for any other text.
  static Tss2PrivateKey FromPem(const std::string& pem);
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TSS2_PRIVATE_KEY_H_
