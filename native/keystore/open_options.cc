#include "keystore/open_options.h"

#include <nlohmann/json.hpp>

#include "platform/data_directory.h"
#include "platform/error.h"
#include "platform/path_text.h"
#include "protocol/json_reader.h"

namespace device_key {
namespace {

[[noreturn]] void ThrowInvalid(const std::string& option, const std::string& expected) {
  throw DeviceKeyError(ErrorCode::kInvalidParams, "options." + option + ": expected " + expected);
}

std::string DecodeText(const std::string& name, const nlohmann::json& value) {
  if (!value.is_string()) ThrowInvalid(name, "a string");
  auto text = value.get<std::string>();
  if (text.empty() || text.find('\0') != std::string::npos) {
    ThrowInvalid(name, "a string that is not empty and has no NUL");
  }
  return text;
}

int64_t DecodeCount(const std::string& name, const nlohmann::json& value, int64_t limit) {
  const std::optional<int64_t> count = Int64Value(value);
  if (!count || *count < 1 || *count > limit) {
    ThrowInvalid(name, "an integer from 1 to " + std::to_string(limit));
  }
  return *count;
}

bool DecodeFlag(const std::string& name, const nlohmann::json& value) {
  if (!value.is_boolean()) ThrowInvalid(name, "a boolean");
  return value.get<bool>();
}

void DecodePkcs11(const nlohmann::json& json, OpenOptions& options) {
  if (!json.is_object()) ThrowInvalid("pkcs11", "an object");
  PinSource& pin = options.pkcs11_pin;
  for (const auto& [member, value] : json.items()) {
    const std::string name = "pkcs11." + member;
    if (member == "module") {
      options.pkcs11_module = DecodeText(name, value);
    } else if (member == "token") {
      options.pkcs11_token = DecodeText(name, value);
    } else if (member == "pin") {
      pin.prompt_has_value = value == nlohmann::json{{"given", true}};
      if (!pin.prompt_has_value && value != nlohmann::json{{"ask", true}}) {
        ThrowInvalid(name, "a string that is not empty, or a function");
      }
      pin.prompt = std::make_shared<PinPrompt>();
    } else if (member == "pinFile") {
      pin.file = DecodeText(name, value);
    } else if (member == "allowFinalTry") {
      pin.allow_final_try = DecodeFlag(name, value);
    } else {
      throw DeviceKeyError(ErrorCode::kInvalidParams,
                           "options." + name +
                               ": no such option; there are module, token, pin, pinFile and "
                               "allowFinalTry");
    }
  }
  if (pin.file.has_value() && pin.prompt != nullptr) {
    ThrowInvalid("pkcs11", "only one of pin and pinFile");
  }
}

void DecodeUserPresence(const nlohmann::json& value, OpenOptions& options) {
  constexpr int64_t kMaxReuseSeconds = 3600;
  if (value.is_object() && value.size() == 1 && value.contains("reuseSeconds")) {
    options.user_presence = true;
    options.user_presence_reuse = std::chrono::seconds(
        DecodeCount("userPresence.reuseSeconds", value["reuseSeconds"], kMaxReuseSeconds));
    return;
  }
  if (!value.is_boolean())
    ThrowInvalid("userPresence", "a boolean, or an object with reuseSeconds");
  options.user_presence = value.get<bool>();
}

nlohmann::json ReadOptions(std::string_view json_text) {
  try {
    nlohmann::json options = ReadJson(json_text);
    if (options.is_object()) return options;
  } catch (const DeviceKeyError& error) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         std::string("options: expected an object; ") + error.what());
  }
  throw DeviceKeyError(ErrorCode::kInvalidParams, "options: expected an object");
}

}  // namespace

OpenOptions DecodeOpenOptions(std::string_view json_text) {
  constexpr int64_t kMaxTimeoutMs = 3'600'000;
  constexpr int64_t kMaxQueueLimit = 1'000'000;
  const nlohmann::json json = ReadOptions(json_text);
  OpenOptions options;
  for (const auto& [name, value] : json.items()) {
    if (name == "directory") {
      options.directory = PathFromUtf8(DecodeText(name, value));
    } else if (name == "targets") {
      options.targets = DecodeTargetPolicy(value);
    } else if (name == "timeoutMs") {
      options.timeout = std::chrono::milliseconds(DecodeCount(name, value, kMaxTimeoutMs));
    } else if (name == "queueLimit") {
      options.queue_limit = static_cast<size_t>(DecodeCount(name, value, kMaxQueueLimit));
    } else if (name == "tcti") {
      options.tcti = DecodeText(name, value);
    } else if (name == "allowSimulator") {
      options.allow_simulator = DecodeFlag(name, value);
    } else if (name == "environment") {
      options.environment = DecodeFlag(name, value) ? Environment() : Environment::None();
    } else if (name == "pkcs11") {
      DecodePkcs11(value, options);
    } else if (name == "userPresence") {
      DecodeUserPresence(value, options);
    } else {
      throw DeviceKeyError(ErrorCode::kInvalidParams,
                           "options." + name +
                               ": no such option; there are directory, targets, timeoutMs, "
                               "queueLimit, tcti, allowSimulator, environment, pkcs11 and "
                               "userPresence");
    }
  }
  if (options.directory.empty()) options.directory = DefaultStoreDirectory(options.environment);
  return options;
}

}  // namespace device_key
