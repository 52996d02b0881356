#include "providers/apple/key_handle.h"

#include <optional>

#include "crypto/base64.h"
#include "crypto/sha256.h"
#include "platform/error.h"
#include "providers/apple/secure_enclave.h"

namespace device_key {
namespace {

constexpr char kHome[] = "home";
constexpr char kPublicKeySha256[] = "publicKeySha256";
constexpr char kWrappedKey[] = "wrappedKeyBase64";

[[noreturn]] void ThrowDamaged(const char* member, const char* expected) {
  throw DeviceKeyError(
      ErrorCode::kStoreCorrupt,
      std::string("the key's record is damaged: handle.") + member + ": expected " + expected);
}

std::string TextIn(const nlohmann::json& json, const char* member) {
  if (!json.is_object() || !json.contains(member) || !json[member].is_string()) {
    ThrowDamaged(member, "a string");
  }
  return json[member].get<std::string>();
}

Bytes DecodedIn(const nlohmann::json& json, const char* member) {
  std::optional<Bytes> bytes = Base64Decode(TextIn(json, member));
  if (!bytes || bytes->empty()) ThrowDamaged(member, "base64");
  return *std::move(bytes);
}

Keychain KeychainOf(KeyHome home) {
  return home == KeyHome::kFileKeychain ? Keychain::kFile : Keychain::kDataProtection;
}

}  // namespace

Bytes PublicKeySha256(ByteView spki) {
  const Sha256Digest digest = Sha256(spki);
  return Bytes(digest.begin(), digest.end());
}

std::string_view KeyHomeName(KeyHome home) {
  switch (home) {
    case KeyHome::kKeychain:
      return "keychain";
    case KeyHome::kFileKeychain:
      return "fileKeychain";
    case KeyHome::kRecord:
      break;
  }
  return "record";
}

nlohmann::json KeyHandle::ToJson() const {
  nlohmann::json json = {{kHome, KeyHomeName(home)},
                         {kPublicKeySha256, Base64Encode(public_key_sha256)}};
  if (home == KeyHome::kRecord) json[kWrappedKey] = Base64Encode(wrapped_key);
  return json;
}

KeyHandle KeyHandle::FromJson(const nlohmann::json& json) {
  Bytes public_key_sha256 = DecodedIn(json, kPublicKeySha256);
  const std::string name = TextIn(json, kHome);
  for (const KeyHome home : {KeyHome::kKeychain, KeyHome::kFileKeychain, KeyHome::kRecord}) {
    if (name != KeyHomeName(home)) continue;
    return {.home = home,
            .wrapped_key = home == KeyHome::kRecord ? DecodedIn(json, kWrappedKey) : Bytes(),
            .public_key_sha256 = std::move(public_key_sha256)};
  }
  ThrowDamaged(kHome, "\"keychain\", \"fileKeychain\" or \"record\"");
}

ScopedSecKey KeyHandle::Open(const std::string& tag, CFTypeRef context) const {
  ScopedSecKey key = home == KeyHome::kRecord ? OpenWrappedEnclaveKey(wrapped_key, context)
                                              : OpenFromKeychain(KeychainOf(home), tag, context);
  // In the login keychain, macOS returns the public key only if it was stored too
  // (SecCDSAKeyCopyPublicKey in Apple's published SecKey.cpp). The caller verifies each signature.
  if (home == KeyHome::kFileKeychain) return key;
  // SecKeyCreateWithData makes a new key when the token does not find the wrapped key in the
  // attributes.
  if (PublicKeySha256(SpkiOf(key.get())) != public_key_sha256) {
    throw DeviceKeyError(ErrorCode::kKeyLost,
                         "macOS opened another key than the one that was enrolled: it was made on "
                         "another Mac or replaced; delete it and enroll again");
  }
  return key;
}

void KeyHandle::Delete(const std::string& tag) const {
  if (home != KeyHome::kRecord) DeleteFromKeychain(KeychainOf(home), tag);
}

}  // namespace device_key
