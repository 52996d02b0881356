// Private keys as items of a keychain.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_
#define DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_

#include <string>

#include "providers/apple/sec_key.h"

namespace device_key {

// macOS has two (Apple's technical note TN3137).
enum class Keychain {
  // For host executables with the entitlement keychain-access-groups. Without it, every function
  // below throws `missing_entitlement`.
  kDataProtection,
  // The login keychain, a file: for any program. It alone keeps software keys from being exported.
  kFile,
};

// Items are told apart by their application tag. All of this is stateless. `context`, which may be
// null, is a confirmation by a person (ReuseWindow).

// Adds what makes a new private key an item tagged `tag`.
void MakePermanent(CfDictionary& private_key_attributes, const std::string& tag);

// A null pointer when the keychain says that there is no such item. Every other failure throws:
// only an explicit "not found" may be taken for absence.
ScopedSecKey FindInKeychain(Keychain keychain, const std::string& tag, CFTypeRef context = nullptr);

// As FindInKeychain, but absence is `key_lost`.
ScopedSecKey OpenFromKeychain(Keychain keychain, const std::string& tag, CFTypeRef context);

// Removes the private key. Succeeds when there is none.
void DeleteFromKeychain(Keychain keychain, const std::string& tag);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_
