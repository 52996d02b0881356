// What Security.framework's errors mean, and the error that a person gets to read.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_
#define DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_

#include <CoreFoundation/CoreFoundation.h>
#include <Security/Security.h>

#include <string_view>

#include "platform/error.h"

namespace device_key {

// The error for an OSStatus that came when we tried to `attempt` ("sign with the key"): what was
// attempted, what macOS says in words, and what to do. `platform_status` is the OSStatus.
DeviceKeyError AppleError(std::string_view attempt, OSStatus status);

// The same for a CFError, whose code belongs to its domain: OSStatus, LocalAuthentication or
// CryptoTokenKit. Where another error is below it, as in what SecKeyCreateRandomKey returns, that
// one decides the meaning. `error` may be null.
DeviceKeyError AppleError(std::string_view attempt, CFErrorRef error);

// The same for SecKeyCreateRandomKey: never says that a stored key is lost or damaged.
DeviceKeyError AppleErrorMakingKey(CFErrorRef error);

// Whether the token (the enclave) says that it cannot make sense of what it was given.
bool IsCorruptedTokenData(CFErrorRef error);

// Whether `error` came with this OSStatus; codes of other domains are small negative numbers,
// which no status that we ask for shares.
bool HasStatus(const DeviceKeyError& error, OSStatus status);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_
