// What a key may be used for, and for whom.
#ifndef DEVICE_KEY_KEYSTORE_KEY_BINDING_H_
#define DEVICE_KEY_KEYSTORE_KEY_BINDING_H_

#include <string>
#include <variant>
#include <vector>

#include "providers/key_provider.h"

namespace device_key {

// The key signs connection and enrollment payloads for one account and client.
struct AccountBinding {
  std::string account_user_id;
  std::string client_id;
  bool operator==(const AccountBinding&) const = default;

  // Both are empty: the key has been made and its enrollment is still to come.
  bool empty() const { return account_user_id.empty() && client_id.empty(); }
};

// The key signs DPoP proofs for one OAuth client, to these origins.
struct DpopBinding {
  std::string client_id;
  std::vector<std::string> origins;  // sorted, each once
  bool operator==(const DpopBinding&) const = default;
};

using KeyBinding = std::variant<AccountBinding, DpopBinding>;

// What ties a key to its binding in its hardware: the first 32 characters of
// base64url(SHA-256(text)), where `text` has these parts with a NUL between them:
//   "device-key-binding/v1", account_user_id, client_id
//   "device-key-dpop/v1", client_id, and each origin
AuthValue AuthValueOf(const KeyBinding& binding);

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_KEY_BINDING_H_
