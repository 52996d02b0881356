#include "providers/tpm2/key_templates.h"

#include <algorithm>
#include <string>

#include "crypto/base64.h"

namespace device_key {
namespace {

constexpr TPMA_OBJECT kDeviceKeyAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT;

constexpr TPMA_OBJECT kStorageKeyAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

TPM2B_PUBLIC P256Template(TPMA_OBJECT attributes) {
  TPM2B_PUBLIC key{};
  TPMT_PUBLIC& area = key.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = attributes;
  area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return key;
}

}  // namespace

TPM2B_PUBLIC StorageKeyTemplate() {
  TPM2B_PUBLIC key = P256Template(kStorageKeyAttributes);
  TPMT_SYM_DEF_OBJECT& symmetric = key.publicArea.parameters.eccDetail.symmetric;
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  return key;
}

TPM2B_PUBLIC DeviceKeyTemplate() {
  TPM2B_PUBLIC key = P256Template(kDeviceKeyAttributes);
  key.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  key.publicArea.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  return key;
}

bool IsDerivedStorageKey(const TPMT_PUBLIC& key) {
  const TPMS_ECC_PARMS& ecc = key.parameters.eccDetail;
  return key.type == TPM2_ALG_ECC && key.nameAlg == TPM2_ALG_SHA256 &&
         key.objectAttributes == kStorageKeyAttributes && key.authPolicy.size == 0 &&
         ecc.curveID == TPM2_ECC_NIST_P256 && ecc.symmetric.algorithm == TPM2_ALG_AES &&
         ecc.symmetric.keyBits.aes == 128 && ecc.symmetric.mode.aes == TPM2_ALG_CFB;
}

bool IsStorageKey(const TPMT_PUBLIC& key) {
  constexpr TPMA_OBJECT kNeeded = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
                                  TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_USERWITHAUTH;
  const TPMI_ECC_CURVE curve = key.parameters.eccDetail.curveID;
  const bool known_type =
      (key.type == TPM2_ALG_RSA && key.parameters.rsaDetail.keyBits >= 2048) ||
      (key.type == TPM2_ALG_ECC && (curve == TPM2_ECC_NIST_P256 || curve == TPM2_ECC_NIST_P384));
  const bool known_hash = key.nameAlg == TPM2_ALG_SHA256 || key.nameAlg == TPM2_ALG_SHA384;
  return known_type && known_hash && (key.objectAttributes & kNeeded) == kNeeded;
}

bool IsDeviceKey(const TPMT_PUBLIC& key) {
  const TPMS_ECC_PARMS& ecc = key.parameters.eccDetail;
  return key.type == TPM2_ALG_ECC && key.nameAlg == TPM2_ALG_SHA256 &&
         key.objectAttributes == kDeviceKeyAttributes && key.authPolicy.size == 0 &&
         ecc.curveID == TPM2_ECC_NIST_P256 && ecc.scheme.scheme == TPM2_ALG_ECDSA &&
         ecc.scheme.details.ecdsa.hashAlg == TPM2_ALG_SHA256;
}

TPM2B_AUTH BindingAuthValue(const KeyBinding& binding) {
  std::string message = "device-key-binding/v1";
  message += '\0';
  message += binding.account_user_id;
  message += '\0';
  message += binding.client_id;
  const std::string text = Base64UrlEncode(Sha256(AsBytes(message)));
  TPM2B_AUTH auth{};
  auth.size = 32;
  std::copy_n(text.begin(), auth.size, auth.buffer);
  return auth;
}

}  // namespace device_key
