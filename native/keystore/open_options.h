// The options of DeviceKeyStore.open, and what they open.
#ifndef DEVICE_KEY_KEYSTORE_OPEN_OPTIONS_H_
#define DEVICE_KEY_KEYSTORE_OPEN_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/environment.h"
#include "protocol/target_policy.h"
#include "providers/key_provider.h"
#include "providers/pkcs11/pin.h"

namespace device_key {

struct OpenOptions {
  std::filesystem::path directory;
  TargetPolicy targets = TargetPolicy::Default();
  // How long one operation may take: waiting for its turn and for hardware.
  std::chrono::milliseconds timeout{30'000};
  // How many operations may wait for their turn.
  size_t queue_limit = 4096;
  std::optional<std::string> tcti;
  std::optional<bool> allow_simulator;
  std::optional<std::string> pkcs11_module;
  std::optional<std::string> pkcs11_token;
  PinSource pkcs11_pin;
  // Where the providers' settings that are absent above come from.
  Environment environment{};
  // Whether each use of a new key has to be confirmed by a person, and for how long that holds.
  // macOS alone has it.
  bool user_presence = false;
  std::chrono::seconds user_presence_reuse{0};
};

// From the JSON text {"directory"?, "targets"?, "timeoutMs"?, "queueLimit"?, "tcti"?,
// "allowSimulator"?, "pkcs11"?: {"module"?, "token"?, "pin"? ({"given": true} or {"ask": true}: a
// PinPrompt), "pinFile"?, "allowFinalTry"?}, "userPresence"? (a boolean, or {"reuseSeconds": 1 to
// 3600})}; what is absent takes its default, from the environment where there is one. Throws
// `invalid_params` naming the option, also for options that it does not know.
OpenOptions DecodeOpenOptions(std::string_view json_text);

// The providers of this platform, hardware first. Touches no hardware.
std::vector<std::shared_ptr<KeyProvider>> PlatformProviders(const OpenOptions& options);

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_OPEN_OPTIONS_H_
