// What a key record keeps about a key of this Mac.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_KEY_HANDLE_H_
#define DEVICE_KEY_PROVIDERS_APPLE_KEY_HANDLE_H_

#include <nlohmann/json.hpp>

#include "crypto/bytes.h"
#include "providers/apple/sec_key.h"

namespace device_key {

// {"home":"keychain","publicKeySha256":"..."}, or "home":"record" with "wrappedKeyBase64". A key
// stays in the home that it was made in.
struct KeyHandle {
  Bytes wrapped_key;  // empty for the keychain
  Bytes public_key_sha256;

  bool in_keychain() const { return wrapped_key.empty(); }
  nlohmann::json ToJson() const;
  // Throws `store_corrupt`.
  static KeyHandle FromJson(const nlohmann::json& json);

  // Throws `key_lost` when `private_key` is another key: macOS makes a new one where it does not
  // understand a wrapped key (SecKeyCreateWithData with a token but without its object).
  void CheckIsKey(SecKeyRef private_key) const;
};

Bytes PublicKeySha256(ByteView spki);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEY_HANDLE_H_
