// The error codes and cures for the status values of Windows' key stores.
#ifndef DEVICE_KEY_PROVIDERS_CNG_CNG_STATUS_H_
#define DEVICE_KEY_PROVIDERS_CNG_CNG_STATUS_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "platform/error.h"

namespace device_key {

struct CngStatus {
  uint32_t status;  // an HRESULT
  const char* name;
  ErrorCode code;
  const char* cure;  // a sentence
};

// The statuses that have their own code and cure. Every other status is `platform_error`.
std::span<const CngStatus> CngStatuses();

// `attempt` is a verb phrase: "make a key". The raw status is kept as platform_status.
DeviceKeyError CngError(std::string_view attempt, int32_t status);

// Throws CngError for a status that is a failure.
void CheckCng(std::string_view attempt, int32_t status);

// Like CheckCng, for calls that make a key: throws `platform_error` for the statuses that mean
// `key_lost` for an existing key.
void CheckCngMakingKey(int32_t status);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_CNG_STATUS_H_
