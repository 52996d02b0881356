// Operations on a SecKey in either keychain or in the enclave.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_SEC_KEY_H_
#define DEVICE_KEY_PROVIDERS_APPLE_SEC_KEY_H_

#include <Security/Security.h>

#include "crypto/bytes.h"
#include "crypto/sha256.h"
#include "providers/apple/cf_values.h"

namespace device_key {

using ScopedSecKey = ScopedCf<SecKeyRef>;

// The attributes that all our keys have. Callers add more.
CfDictionary P256Attributes();

// Throws macOS' error.
ScopedSecKey CreateSecKey(const CfDictionary& attributes);
ScopedCf<CFDictionaryRef> AttributesOf(SecKeyRef key);

// The SubjectPublicKeyInfo of the key pair's public key.
Bytes SpkiOf(SecKeyRef private_key);

// DER ECDSA signature. May wait for a person.
Bytes SignDigest(SecKeyRef private_key, const Sha256Digest& digest);

// Throws `crypto_error` if the key's attributes say that it can be exported, or if macOS exports
// it.
void CheckCannotBeExported(SecKeyRef private_key);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_SEC_KEY_H_
