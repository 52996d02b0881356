// The handle in the record of a Mac's key.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_KEY_HANDLE_H_
#define DEVICE_KEY_PROVIDERS_APPLE_KEY_HANDLE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "providers/apple/keychain.h"
#include "providers/apple/sec_key.h"

namespace device_key {

// Where a private key is stored. A key is never moved.
enum class KeyHome {
  kKeychain,      // the data-protection keychain
  kFileKeychain,  // the login keychain
  kRecord,        // the record itself, encrypted so that only this Mac's enclave can read it
};

// "keychain", "fileKeychain", "record".
std::string_view KeyHomeName(KeyHome home);

// {"home":"keychain","publicKeySha256":"..."}; with "wrappedKeyBase64" if the home is the record.
struct KeyHandle {
  KeyHome home;
  Bytes wrapped_key;  // empty in the keychains
  Bytes public_key_sha256;

  nlohmann::json ToJson() const;
  // Throws `store_corrupt`.
  static KeyHandle FromJson(const nlohmann::json& json);

  // Returns the private key with the tag `tag`. Throws `key_lost` if it is gone, or if macOS opens
  // another key, as far as that can be detected. `context` may be null: see ReuseWindow.
  ScopedSecKey Open(const std::string& tag, CFTypeRef context) const;

  // Deletes the key from its keychain, if it is in one.
  void Delete(const std::string& tag) const;
};

Bytes PublicKeySha256(ByteView spki);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEY_HANDLE_H_
