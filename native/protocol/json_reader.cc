#include "protocol/json_reader.h"

#include <charconv>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "platform/error.h"

namespace device_key {

namespace {

using nlohmann::json;

// The exact value of a JSON number written with a fraction or an exponent, if it is an int64. A
// double would round: no double is equal to 9007199254740993.0.
std::optional<int64_t> ExactInt64(std::string_view number) {
  std::string digits;
  int64_t exponent = 0;  // the value is digits * 10^exponent
  bool in_fraction = false;
  const bool negative = number.starts_with('-');
  for (size_t i = negative ? 1 : 0; i < number.size(); ++i) {
    const char c = number[i];
    if (c >= '0' && c <= '9') {
      digits.push_back(c);
      if (in_fraction) --exponent;
    } else if (c == 'e' || c == 'E') {
      std::string_view written = number.substr(i + 1);
      if (written.starts_with('+')) written.remove_prefix(1);
      int32_t value = 0;
      if (std::from_chars(written.data(), written.data() + written.size(), value).ec !=
          std::errc()) {
        return std::nullopt;
      }
      exponent += value;
      break;
    } else {
      // Any other character is the decimal point: nlohmann/json 3.11 (lexer::scan_number) writes
      // it as the process's locale does, and GUI toolkits set a locale.
      in_fraction = true;
    }
  }
  digits.erase(0, digits.find_first_not_of('0'));
  if (digits.empty()) return 0;
  while (exponent < 0 && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  constexpr int kMaxDigits = std::numeric_limits<int64_t>::digits10 + 1;
  if (exponent < 0 || exponent + static_cast<int64_t>(digits.size()) > kMaxDigits) {
    return std::nullopt;
  }
  digits.append(static_cast<size_t>(exponent), '0');
  if (negative) digits.insert(0, 1, '-');
  int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

// Builds the document as json::parse would, with the checks that json::parse does not offer. The
// lexer itself refuses invalid UTF-8, lone surrogates and numbers too large for a double.
class StrictReader : public nlohmann::json_sax<json> {
 public:
  json TakeDocument() { return std::move(document_); }

  bool null() override {
    Add(nullptr);
    return true;
  }
  bool boolean(bool value) override {
    Add(value);
    return true;
  }
  bool number_integer(number_integer_t value) override {
    Add(value);
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    Add(value);
    return true;
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (const std::optional<int64_t> integer = ExactInt64(text)) {
      Add(*integer);
    } else {
      Add(value);
    }
    return true;
  }
  // Copied, not moved: `value` is the lexer's buffer, which it would have to allocate again.
  bool string(string_t& value) override {
    Add(value);
    return true;
  }
  bool binary(binary_t&) override { return false; }  // not in JSON text

  bool start_object(size_t) override {
    Open(json::value_t::object);
    return true;
  }
  bool start_array(size_t) override {
    Open(json::value_t::array);
    return true;
  }
  bool end_object() override {
    open_.pop_back();
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }

  bool key(string_t& name) override {
    const auto [member, inserted] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!inserted) RefuseDuplicate();
    next_ = &member->second;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    // The library's own message quotes the text.
    throw DeviceKeyError(
        ErrorCode::kInvalidParams,
        "expected one JSON value in UTF-8, and found a syntax error, invalid UTF-8, a lone "
        "surrogate or a number too large for a double at byte " +
            std::to_string(position));
  }

 private:
  // The destination of the next value. Pointers into the document stay valid: members are in a
  // std::map, and an array grows only while none of its elements is open.
  json& Add(json value) {
    json* place = &document_;
    if (next_ != nullptr) {
      place = std::exchange(next_, nullptr);
    } else if (!open_.empty()) {
      place = &open_.back()->emplace_back();
    }
    return *place = std::move(value);
  }

  void Open(json::value_t type) {
    if (open_.size() >= kMaxJsonDepth) {
      throw DeviceKeyError(
          ErrorCode::kInvalidParams,
          "expected JSON nested at most " + std::to_string(kMaxJsonDepth) + " levels deep");
    }
    open_.push_back(&Add(json(type)));
  }

  [[noreturn]] void RefuseDuplicate() const {
    const bool in_payload = open_.size() > 1 && document_.is_object() &&
                            document_.contains("payload") && &document_["payload"] == open_[1];
    if (in_payload) {
      throw DeviceKeyError(ErrorCode::kInvalidPayload,
                           "payload: expected every member once, and found one given twice");
    }
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "expected every member once, and found one given twice");
  }

  json document_;
  std::vector<json*> open_;  // the objects and arrays around the current position
  json* next_ = nullptr;     // the member whose name was just read
};

}  // namespace

json ReadJson(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    throw DeviceKeyError(ErrorCode::kInvalidParams, "expected at most 1 MiB of JSON text");
  }
  // nlohmann/json skips a byte order mark, and takes a NUL for the end of the text.
  if (text.starts_with("\xEF\xBB\xBF") || text.find('\0') != std::string_view::npos) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "expected JSON text without a byte order mark and without NUL");
  }
  StrictReader reader;
  json::sax_parse(text, &reader);
  return reader.TakeDocument();
}

std::optional<int64_t> Int64Value(const json& value) {
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  return std::nullopt;
}

}  // namespace device_key
