// Private keys as items of the data-protection keychain.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_
#define DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_

#include <string>

#include "providers/apple/sec_key.h"

namespace device_key {

// Needs an entitlement of the host executable: every call throws `missing_entitlement` without it.
// Items are told apart by their application tag. Stateless.

// Adds what makes a new private key an item tagged `tag`.
void MakePermanent(CfDictionary& private_key_attributes, const std::string& tag);

// A null pointer when the keychain says that there is no such item. Every other failure throws:
// only an explicit "not found" may be taken for absence.
ScopedSecKey FindInKeychain(const std::string& tag);

// As FindInKeychain, but absence is `key_lost`.
ScopedSecKey OpenFromKeychain(const std::string& tag);

// Removes the private key. Succeeds when there is none.
void DeleteFromKeychain(const std::string& tag);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_H_
