// The error codes, messages and cures for Security.framework's errors.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_
#define DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_

#include <CoreFoundation/CoreFoundation.h>
#include <Security/Security.h>

#include <string_view>

#include "platform/error.h"

namespace device_key {

// The error for an OSStatus. `attempt` is a verb phrase ("sign with the key"). The message has the
// attempt, macOS' words for the status, and what to do. `platform_status` is the OSStatus.
DeviceKeyError AppleError(std::string_view attempt, OSStatus status);

// The same for a CFError, whose code belongs to its domain: OSStatus, LocalAuthentication or
// CryptoTokenKit. Where another error is below it, as in what SecKeyCreateRandomKey returns, that
// one decides the meaning. `error` may be null.
DeviceKeyError AppleError(std::string_view attempt, CFErrorRef error);

// The same for SecKeyCreateRandomKey: never says that a stored key is lost or damaged.
DeviceKeyError AppleErrorMakingKey(CFErrorRef error);

// Whether the enclave's token answered TKErrorCodeCorruptedData.
bool IsCorruptedTokenData(CFErrorRef error);

// Whether `error` was made for this OSStatus. Codes of other domains are small negative numbers,
// which the statuses that callers ask for do not overlap.
bool HasStatus(const DeviceKeyError& error, OSStatus status);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_
