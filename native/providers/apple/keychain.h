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
  // The login keychain, a file that any program may use. Only this one refuses to export software
  // keys.
  kFile,
};

// The application tag identifies an item. These functions keep no state. `context` is an LAContext
// (see ReuseWindow) and may be null.

// Adds the attributes that make a new private key an item with the tag `tag`.
void MakePermanent(CfDictionary& private_key_attributes, const std::string& tag);

// Null only if the keychain reports that there is no such item. Throws for every other failure.
ScopedSecKey FindInKeychain(Keychain keychain, const std::string& tag, CFTypeRef context = nullptr);

// Like FindInKeychain, but throws `key_lost` when there is no such item.
ScopedSecKey OpenFromKeychain(Keychain keychain, const std::string& tag, CFTypeRef context);

// Deletes the private key. Succeeds if there is none.
void DeleteFromKeychain(Keychain keychain, const std::string& tag);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_
