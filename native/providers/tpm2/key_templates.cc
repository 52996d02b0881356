#include "providers/tpm2/key_templates.h"

#include <algorithm>
#include <iterator>

namespace device_key {
namespace {

constexpr TPMA_OBJECT kDeviceKeyAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT;

constexpr TPMA_OBJECT kStorageKeyAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

constexpr TPMA_OBJECT kAttestationKeyAttributes = kDeviceKeyAttributes | TPMA_OBJECT_RESTRICTED;

// The authPolicy of template L: PolicySecret of the endorsement hierarchy (EK Credential Profile,
// section B.3.1: PolicyA for SHA-256).
constexpr uint8_t kPolicyA[] = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                                0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                                0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
// The authPolicy of template H (section B.6.3: PolicyB for SHA-384). Such keys also have
// userWithAuth, and an empty authValue.
constexpr uint8_t kPolicyB[] = {
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
    0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
    0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12};

constexpr TPMA_OBJECT kEndorsementKeyAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

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

TPM2B_PUBLIC AttestationKeyTemplate() {
  TPM2B_PUBLIC key = DeviceKeyTemplate();
  key.publicArea.objectAttributes = kAttestationKeyAttributes;
  return key;
}

bool IsAttestationKey(const TPMT_PUBLIC& key) {
  TPMT_PUBLIC unrestricted = key;
  unrestricted.objectAttributes = kDeviceKeyAttributes;
  return key.objectAttributes == kAttestationKeyAttributes && IsDeviceKey(unrestricted);
}

TPM2B_PUBLIC EndorsementKeyTemplate(EndorsementKeyType type) {
  TPM2B_PUBLIC key = P256Template(kEndorsementKeyAttributes);
  TPMT_PUBLIC& area = key.publicArea;
  TPMT_SYM_DEF_OBJECT symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = type == EndorsementKeyType::kP384 ? 256 : 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  area.parameters.eccDetail.symmetric = symmetric;
  if (type == EndorsementKeyType::kP384) {
    area.nameAlg = TPM2_ALG_SHA384;
    area.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
    area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P384;
    area.authPolicy.size = sizeof kPolicyB;
    std::copy(std::begin(kPolicyB), std::end(kPolicyB), area.authPolicy.buffer);
    return key;
  }
  area.authPolicy.size = sizeof kPolicyA;
  std::copy(std::begin(kPolicyA), std::end(kPolicyA), area.authPolicy.buffer);
  // `unique` is part of the template: zeros of the key's length.
  if (type == EndorsementKeyType::kP256) {
    area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
    return key;
  }
  area.type = TPM2_ALG_RSA;
  TPMS_RSA_PARMS& rsa = area.parameters.rsaDetail;
  rsa = {};
  rsa.symmetric = symmetric;
  rsa.scheme.scheme = TPM2_ALG_NULL;
  rsa.keyBits = 2048;
  area.unique.rsa.size = 256;
  return key;
}

bool IsEndorsementPolicy(ByteView digest) {
  constexpr uint8_t kNew[sizeof kPolicyA] = {};
  return std::ranges::equal(digest, kPolicyA) || std::ranges::equal(digest, kNew);
}

bool IsEndorsementKey(const TPMT_PUBLIC& key) {
  return (key.objectAttributes & ~TPMA_OBJECT_USERWITHAUTH) == kEndorsementKeyAttributes;
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

TPM2B_AUTH TpmAuth(const AuthValue& auth) {
  TPM2B_AUTH tpm_auth{};
  tpm_auth.size = static_cast<uint16_t>(auth.size());
  std::copy(auth.begin(), auth.end(), tpm_auth.buffer);
  return tpm_auth;
}

}  // namespace device_key
