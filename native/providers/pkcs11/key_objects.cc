#include "providers/pkcs11/key_objects.h"

#include <array>
#include <optional>
#include <vector>

#include "crypto/base64.h"
#include "crypto/p256.h"
#include "providers/pkcs11/pkcs11_status.h"

namespace device_key {
namespace {

// The object identifier of P-256, 1.2.840.10045.3.1.7, in DER.
constexpr std::array<uint8_t, 10> kP256Parameters = {0x06, 0x08, 0x2A, 0x86, 0x48,
                                                     0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr size_t kCoordinateBytes = 32;

// Attributes with the values that they point to.
class Template {
 public:
  Template& Add(CK_ATTRIBUTE_TYPE type, ByteView value) {
    // Modules only read it; the interface does not say const.
    attributes_.push_back({type, const_cast<uint8_t*>(value.data()), value.size()});
    return *this;
  }
  Template& Add(CK_ATTRIBUTE_TYPE type, const CK_ULONG& value) {
    return Add(type, ByteView(reinterpret_cast<const uint8_t*>(&value), sizeof value));
  }
  Template& Add(CK_ATTRIBUTE_TYPE type, bool value) {
    return Add(type, ByteView(value ? &CK_TRUE : &CK_FALSE, sizeof(CK_BBOOL)));
  }

  CK_ATTRIBUTE* data() { return attributes_.data(); }
  CK_ULONG size() const { return attributes_.size(); }

 private:
  std::vector<CK_ATTRIBUTE> attributes_;
};

// CKA_ID: the random bytes of the key id. Cards with little room for ids have room for 32 bytes.
Bytes CkaId(const KeyId& id) {
  constexpr size_t kPrefix = std::string_view("dk_osn_").size();
  return *Base64UrlDecode(std::string_view(id.str()).substr(kPrefix));
}

std::vector<CK_OBJECT_HANDLE> Find(const TokenSession& session, Template& wanted) {
  const CK_FUNCTION_LIST& module = session.module();
  CheckPkcs11("look for the key",
              module.C_FindObjectsInit(session.handle(), wanted.data(), wanted.size()));
  std::array<CK_OBJECT_HANDLE, 4> found{};
  CK_ULONG count = 0;
  const CK_RV rv = module.C_FindObjects(session.handle(), found.data(), found.size(), &count);
  module.C_FindObjectsFinal(session.handle());
  CheckPkcs11("look for the key", rv);
  return {found.begin(), found.begin() + count};
}

Bytes ReadAttribute(const TokenSession& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE attribute{type, nullptr, 0};
  const auto read = [&] {
    CheckPkcs11("read an attribute of the key",
                session.module().C_GetAttributeValue(session.handle(), object, &attribute, 1));
  };
  read();
  Bytes value(attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION ? 0 : attribute.ulValueLen);
  attribute.pValue = value.data();
  read();
  value.resize(attribute.ulValueLen);
  return value;
}

bool HasFlag(const TokenSession& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  const Bytes value = ReadAttribute(session, object, type);
  return value.size() == sizeof(CK_BBOOL) && value[0] != CK_FALSE;
}

struct Expectation {
  CK_ATTRIBUTE_TYPE type;
  bool value;
  const char* name;
};

// The attributes of a key that show that it cannot leave the token. The token itself sets the last
// three.
constexpr Expectation kExpectations[] = {
    {CKA_TOKEN, true, "CKA_TOKEN"},
    {CKA_PRIVATE, true, "CKA_PRIVATE"},
    {CKA_SIGN, true, "CKA_SIGN"},
    {CKA_SENSITIVE, true, "CKA_SENSITIVE"},
    {CKA_EXTRACTABLE, false, "CKA_EXTRACTABLE"},
    {CKA_ALWAYS_SENSITIVE, true, "CKA_ALWAYS_SENSITIVE"},
    {CKA_NEVER_EXTRACTABLE, true, "CKA_NEVER_EXTRACTABLE"},
    {CKA_LOCAL, true, "CKA_LOCAL"},
};

void CheckProtected(const TokenSession& session, CK_OBJECT_HANDLE key) {
  for (const auto& [type, value, name] : kExpectations) {
    if (HasFlag(session, key, type) == value) continue;
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the token " + session.token().identity.Uri() + " made a key with " +
                             name + (value ? " false" : " true") +
                             ", so it does not keep the key inside; use another token");
  }
}

std::vector<CK_OBJECT_HANDLE> FindObjects(const TokenSession& session, const KeyId& id,
                                          const CK_OBJECT_CLASS& object_class) {
  const Bytes cka_id = CkaId(id);
  Template wanted;
  wanted.Add(CKA_CLASS, object_class).Add(CKA_ID, cka_id);
  return Find(session, wanted);
}

// Destroys the objects of this class with the id. Returns whether there were any.
bool DestroyObjects(const TokenSession& session, const KeyId& id, CK_OBJECT_CLASS object_class) {
  const std::vector<CK_OBJECT_HANDLE> found = FindObjects(session, id, object_class);
  for (const CK_OBJECT_HANDLE object : found) {
    const CK_RV rv = session.module().C_DestroyObject(session.handle(), object);
    // Modules that store both objects as one, such as tpm2-pkcs11, may destroy both at once.
    if (rv != CKR_OBJECT_HANDLE_INVALID) CheckPkcs11("delete the key from the token", rv);
  }
  return !found.empty();
}

CK_OBJECT_HANDLE FindPrivateKey(TokenSession& session, const KeyId& id) {
  const auto known = session.keys.find(id.str());
  if (known != session.keys.end()) return known->second;
  const std::vector<CK_OBJECT_HANDLE> found = FindObjects(session, id, CKO_PRIVATE_KEY);
  if (found.empty()) {
    throw DeviceKeyError(ErrorCode::kKeyLost,
                         "the token " + session.token().identity.Uri() +
                             " does not have the key any more: it was deleted there, or the token "
                             "was initialized again. Enroll again");
  }
  session.keys.emplace(id.str(), found.front());
  return found.front();
}

}  // namespace

Bytes GenerateKey(TokenSession& session, const KeyId& id) {
  const Bytes cka_id = CkaId(id);
  const ByteView label = AsBytes(id.str());
  // Without CKA_VERIFY, which tokens set by default: tpm2-pkcs11 1.9 fails when it is requested for
  // a key that cannot decrypt.
  Template public_template;
  public_template.Add(CKA_TOKEN, true)
      .Add(CKA_PRIVATE, false)
      .Add(CKA_EC_PARAMS, kP256Parameters)
      .Add(CKA_ID, cka_id)
      .Add(CKA_LABEL, label);
  // The last four disable uses that tokens would allow by default.
  Template private_template;
  private_template.Add(CKA_TOKEN, true)
      .Add(CKA_PRIVATE, true)
      .Add(CKA_SENSITIVE, true)
      .Add(CKA_EXTRACTABLE, false)
      .Add(CKA_SIGN, true)
      .Add(CKA_ID, cka_id)
      .Add(CKA_LABEL, label)
      .Add(CKA_DECRYPT, false)
      .Add(CKA_UNWRAP, false)
      .Add(CKA_DERIVE, false)
      .Add(CKA_SIGN_RECOVER, false);
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = 0;
  CK_OBJECT_HANDLE private_key = 0;
  CheckPkcs11("make a key on the token",
              session.module().C_GenerateKeyPair(
                  session.handle(), &mechanism, public_template.data(), public_template.size(),
                  private_template.data(), private_template.size(), &public_key, &private_key));
  try {
    CheckProtected(session, private_key);
    Bytes spki = SpkiFromEcPoint(ReadAttribute(session, public_key, CKA_EC_POINT));
    session.keys.emplace(id.str(), private_key);
    return spki;
  } catch (...) {
    session.module().C_DestroyObject(session.handle(), private_key);
    session.module().C_DestroyObject(session.handle(), public_key);
    throw;
  }
}

Bytes SignDigest(TokenSession& session, const KeyId& id, const Sha256Digest& digest) {
  const CK_FUNCTION_LIST& module = session.module();
  CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
  const CK_OBJECT_HANDLE key = FindPrivateKey(session, id);
  CheckPkcs11("sign with the key", module.C_SignInit(session.handle(), &mechanism, key));
  Sha256Digest data = digest;
  std::array<uint8_t, 2 * kCoordinateBytes> signature{};
  CK_ULONG size = signature.size();
  CheckPkcs11("sign with the key",
              module.C_Sign(session.handle(), data.data(), data.size(), signature.data(), &size));
  // r and s, each of half the length (Current Mechanisms, section 2.3.1).
  const ByteView raw(signature.data(), size);
  return EcdsaDerFromRaw(raw.first(size / 2), raw.subspan(size / 2));
}

void DestroyKey(TokenSession& session, const KeyId& id) {
  session.keys.erase(id.str());
  // The private key first, so that nothing can sign after a failure in between. An empty listing
  // may be a failure without an error, so it counts only when a second one is empty too.
  for (const CK_OBJECT_CLASS object_class : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
    if (!DestroyObjects(session, id, object_class)) DestroyObjects(session, id, object_class);
  }
  if (!FindObjects(session, id, CKO_PRIVATE_KEY).empty()) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "the token " + session.token().identity.Uri() +
                             " still shows the key after it was deleted; try again");
  }
}

Bytes SpkiFromEcPoint(ByteView ec_point) {
  constexpr uint8_t kOctetString = 0x04;
  constexpr uint8_t kUncompressed = 0x04;
  constexpr size_t kPointBytes = 1 + 2 * kCoordinateBytes;
  if (ec_point.size() == 2 + kPointBytes && ec_point[0] == kOctetString &&
      ec_point[1] == kPointBytes) {
    ec_point = ec_point.subspan(2);
  }
  if (ec_point.size() != kPointBytes || ec_point[0] != kUncompressed) {
    throw DeviceKeyError(ErrorCode::kCryptoError,
                         "the token's public key is not an uncompressed P-256 point");
  }
  return SpkiFromPoint(ec_point.subspan(1, kCoordinateBytes), ec_point.last(kCoordinateBytes));
}

}  // namespace device_key
