// The names of files that belong to one key: its id and a suffix.
#ifndef DEVICE_KEY_KEYSTORE_KEY_FILE_NAME_H_
#define DEVICE_KEY_KEYSTORE_KEY_FILE_NAME_H_

#include <optional>
#include <string>
#include <string_view>

#include "protocol/key_id.h"

namespace device_key {

inline constexpr std::string_view kRecordSuffix = ".json";
inline constexpr std::string_view kPendingSuffix = ".pending";

inline std::string KeyFileName(const KeyId& key_id, std::string_view suffix) {
  return key_id.str() + std::string(suffix);
}

// nullopt for other files.
inline std::optional<KeyId> KeyIdFromFileName(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  return KeyId::Parse(name.substr(0, name.size() - suffix.size()));
}

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_KEY_FILE_NAME_H_
