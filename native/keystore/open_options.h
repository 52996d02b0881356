// The options of DeviceKeyStore.open.
#ifndef DEVICE_KEY_KEYSTORE_OPEN_OPTIONS_H_
#define DEVICE_KEY_KEYSTORE_OPEN_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "platform/environment.h"
#include "protocol/target_policy.h"
#include "providers/pkcs11/pin.h"

namespace device_key {

struct OpenOptions {
  std::filesystem::path directory;
  TargetPolicy targets = TargetPolicy::Default();
  // How long one operation may take, including the wait for its turn.
  std::chrono::milliseconds timeout{30'000};
  // How many operations may wait for their turn.
  size_t queue_limit = 4096;
  std::optional<std::string> tcti;
  std::optional<bool> allow_simulator;
  std::optional<std::string> pkcs11_module;
  std::optional<std::string> pkcs11_token;
  PinSource pkcs11_pin;
  // Where the settings that are absent above come from.
  Environment environment{};
  // Whether a person must confirm each use of a new key, and for how long a confirmation is valid.
  // Only on macOS.
  bool user_presence = false;
  std::chrono::seconds user_presence_reuse{0};
};

// From the JSON text {"directory"?, "targets"?, "timeoutMs"?, "queueLimit"?, "tcti"?,
// "allowSimulator"?, "pkcs11"?: {"module"?, "token"?, "pin"? ({"given": true} or {"ask": true}: a
// PinPrompt), "pinFile"?, "allowFinalTry"?}, "userPresence"? (a boolean, or {"reuseSeconds": 1 to
// 3600})}; an absent option takes its default, from the environment where there is one. Throws
// `invalid_params` naming the option, also for an unknown option.
OpenOptions DecodeOpenOptions(std::string_view json_text);

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_OPEN_OPTIONS_H_
