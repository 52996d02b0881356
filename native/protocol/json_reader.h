// The parser for all JSON text from callers and from the disk.
#ifndef DEVICE_KEY_PROTOCOL_JSON_READER_H_
#define DEVICE_KEY_PROTOCOL_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace device_key {

inline constexpr size_t kMaxJsonBytes = 1 << 20;
inline constexpr size_t kMaxJsonDepth = 64;

// Parses `text`, and refuses the texts that decode.h lists. Throws `invalid_params`;
// `invalid_payload` for a member given twice within the member `payload` of the outermost object.
nlohmann::json ReadJson(std::string_view text);

// The value of a number that is an integer in the sense of JSON Schema draft-07 (section 6.1.1 of
// its core: 5, 5.0 and 5e0 are one number) and fits int64; nullopt for all other values. Never
// rounds. For documents of ReadJson.
std::optional<int64_t> Int64Value(const nlohmann::json& value);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_JSON_READER_H_
