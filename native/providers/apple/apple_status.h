// The error codes, messages and cures for Security.framework's errors.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_
#define DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_

#include <CoreFoundation/CoreFoundation.h>
#include <Security/Security.h>

#include <string_view>

#include "platform/error.h"

namespace device_key {

// The error for an OSStatus. `attempt` is a verb phrase ("sign with the key"). The message has the
// attempt, macOS' text for the status, and the cure. `platform_status` is the OSStatus.
DeviceKeyError AppleError(std::string_view attempt, OSStatus status);

// The same for a CFError, whose code belongs to its domain: OSStatus, LocalAuthentication or
// CryptoTokenKit. If it has an underlying error, as SecKeyCreateRandomKey returns it, that one
// decides the meaning. `error` may be null.
DeviceKeyError AppleError(std::string_view attempt, CFErrorRef error);

// The same for SecKeyCreateRandomKey: never says that a stored key is lost or damaged.
DeviceKeyError AppleErrorMakingKey(CFErrorRef error);

// Whether the enclave's token answered TKErrorCodeCorruptedData.
bool IsCorruptedTokenData(CFErrorRef error);

// Whether `error` was made for this OSStatus. The statuses that callers compare with do not overlap
// the codes of other domains, which are small negative numbers.
bool HasStatus(const DeviceKeyError& error, OSStatus status);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_APPLE_STATUS_H_
