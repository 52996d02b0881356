// Keys inside the Secure Enclave, stored in the keychain or in the record.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_H_
#define DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_H_

#include <string>

#include "providers/apple/sec_key.h"

namespace device_key {

// Makes a key that is an item of the data-protection keychain with the tag `tag`, and reads back
// that it is in the enclave. Throws `missing_entitlement` where the host may not use that keychain.
ScopedSecKey MakeEnclaveKeyInKeychain(const std::string& tag, bool user_presence);

// Makes a key that is kept only in `wrapped`: the private key, encrypted by this Mac's enclave and
// useless on any other Mac. The host needs no entitlement for it.
struct WrappedEnclaveKey {
  ScopedSecKey key;
  Bytes wrapped;
};
WrappedEnclaveKey MakeWrappedEnclaveKey(bool user_presence);

// Throws `key_lost` for a key of another Mac. The caller compares the public key: see
// KeyHandle::Open. `context` may be null: see ReuseWindow.
ScopedSecKey OpenWrappedEnclaveKey(ByteView wrapped, CFTypeRef context);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_H_
