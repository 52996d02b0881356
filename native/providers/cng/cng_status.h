// What the status values of Windows' key stores mean to us.
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

// Every status that has a meaning of its own; the others are `platform_error`.
std::span<const CngStatus> CngStatuses();

// `attempt` is a verb phrase: "make a key". The raw status is kept as platform_status.
DeviceKeyError CngError(std::string_view attempt, int32_t status);

// Throws CngError for a status that is a failure.
void CheckCng(std::string_view attempt, int32_t status);

// As CheckCng, of making a key: what says of other keys that they are gone (`key_lost`) is
// `platform_error` then.
void CheckCngMakingKey(int32_t status);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_CNG_STATUS_H_
