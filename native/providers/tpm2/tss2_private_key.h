// The PEM form of a TPM key that is kept outside the TPM: "-----BEGIN TSS2 PRIVATE KEY-----".
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TSS2_PRIVATE_KEY_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TSS2_PRIVATE_KEY_H_

#include <cstdint>
#include <string>

#include "crypto/bytes.h"

namespace device_key {

// A loadable key after "ASN.1 Specification for TPM 2.0 Key Files" (draft-bottomley-tpm2-keys),
// section 3.1, with an authValue and without a policy, so that `openssl -provider tpm2` and others
// can use it. The private area is encrypted by the TPM and useless to any other TPM.
struct Tss2PrivateKey {
  uint32_t parent;     // a TPM handle: persistent, or TPM_RH_OWNER for its hierarchy's primary
  Bytes public_area;   // marshalled TPM2B_PUBLIC
  Bytes private_area;  // marshalled TPM2B_PRIVATE

  // Throws `crypto_error` when it cannot be encoded.
  std::string ToPem() const;
  // Throws `store_corrupt` for anything that is not such a key.
  static Tss2PrivateKey FromPem(const std::string& pem);
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TSS2_PRIVATE_KEY_H_
