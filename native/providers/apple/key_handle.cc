#include "providers/apple/key_handle.h"

#include <optional>
#include <string>

#include "crypto/base64.h"
#include "crypto/sha256.h"
#include "platform/error.h"

namespace device_key {
namespace {

constexpr char kHome[] = "home";
constexpr char kPublicKeySha256[] = "publicKeySha256";
constexpr char kWrappedKey[] = "wrappedKeyBase64";

std::string TextIn(const nlohmann::json& json, const char* member) {
  if (json.is_object() && json.contains(member) && json[member].is_string()) {
    return json[member].get<std::string>();
  }
  throw DeviceKeyError(
      ErrorCode::kStoreCorrupt,
      std::string("the key's record is damaged: handle.") + member + ": expected a string");
}

Bytes DecodedIn(const nlohmann::json& json, const char* member) {
  std::optional<Bytes> bytes = Base64Decode(TextIn(json, member));
  if (bytes && !bytes->empty()) return *std::move(bytes);
  throw DeviceKeyError(
      ErrorCode::kStoreCorrupt,
      std::string("the key's record is damaged: handle.") + member + ": expected base64");
}

}  // namespace

Bytes PublicKeySha256(ByteView spki) {
  const Sha256Digest digest = Sha256(spki);
  return Bytes(digest.begin(), digest.end());
}

nlohmann::json KeyHandle::ToJson() const {
  nlohmann::json json = {{kHome, in_keychain() ? "keychain" : "record"},
                         {kPublicKeySha256, Base64Encode(public_key_sha256)}};
  if (!in_keychain()) json[kWrappedKey] = Base64Encode(wrapped_key);
  return json;
}

KeyHandle KeyHandle::FromJson(const nlohmann::json& json) {
  KeyHandle handle{.wrapped_key = {}, .public_key_sha256 = DecodedIn(json, kPublicKeySha256)};
  const std::string home = TextIn(json, kHome);
  if (home == "record") {
    handle.wrapped_key = DecodedIn(json, kWrappedKey);
  } else if (home != "keychain") {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the key's record is damaged: handle.home: expected \"keychain\" or "
                         "\"record\"");
  }
  return handle;
}

void KeyHandle::CheckIsKey(SecKeyRef private_key) const {
  if (PublicKeySha256(SpkiOf(private_key)) == public_key_sha256) return;
  throw DeviceKeyError(ErrorCode::kKeyLost,
                       "macOS opened another key than the one that was enrolled: it was made on "
                       "another Mac or replaced; delete it and enroll again");
}

}  // namespace device_key
