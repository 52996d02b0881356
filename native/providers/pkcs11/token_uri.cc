#include "providers/pkcs11/token_uri.h"

#include <algorithm>

#include "platform/error.h"

namespace device_key {
namespace {

constexpr std::string_view kScheme = "pkcs11:";

// RFC 7512 section 2.3, pk11-path-res-avail without the characters that separate attributes.
bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string PercentEncoded(const std::string& text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (IsPlain(c)) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Parser {
 public:
  explicit Parser(std::string_view what) : what_(what) {}

  [[noreturn]] void Fail(const std::string& reason) const {
    throw DeviceKeyError(ErrorCode::kInvalidParams, std::string(what_) + ": " + reason);
  }

  std::string PercentDecoded(std::string_view text) const {
    std::string decoded;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') {
        decoded += text[i];
        continue;
      }
      const int high = i + 1 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0 || (high == 0 && low == 0)) {
        Fail("expected two hexadecimal digits, not 00, after every %");
      }
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
    return decoded;
  }

  // Calls `take(name, decoded value)` for each attribute of `text`.
  template <class Take>
  void EachAttribute(std::string_view text, char separator, Take take) const {
    while (!text.empty()) {
      const size_t end = text.find(separator);
      const std::string_view attribute = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
      const size_t equals = attribute.find('=');
      if (equals == std::string_view::npos) Fail("expected name=value for each attribute");
      take(attribute.substr(0, equals), PercentDecoded(attribute.substr(equals + 1)));
    }
  }

  void Set(std::optional<std::string>& member, std::string_view name, std::string value) const {
    if (member) Fail("the attribute " + std::string(name) + " is given twice");
    member = std::move(value);
  }

 private:
  const std::string_view what_;
};

// Schemes are case-insensitive (RFC 3986, section 3.1). If a URI were read as a label, its PIN
// would appear in messages.
bool HasScheme(std::string_view text) {
  return text.size() >= kScheme.size() &&
         std::equal(kScheme.begin(), kScheme.end(), text.begin(), [](char scheme, char c) {
           return scheme == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
         });
}

bool Fits(const std::optional<std::string>& wanted, const std::string& value) {
  return !wanted || *wanted == value;
}

}  // namespace

std::string TokenIdentity::Uri() const {
  TokenUri uri;
  uri.label = label;
  uri.manufacturer = manufacturer;
  uri.model = model;
  uri.serial = serial;
  return uri.Description();
}

TokenUri TokenUri::Parse(std::string_view text, std::string_view what) {
  const Parser parser(what);
  if (text.find('\0') != std::string_view::npos) parser.Fail("expected a string without NUL");
  TokenUri uri;
  if (!HasScheme(text)) {
    uri.label_or_serial = text;
    return uri;
  }
  text.remove_prefix(kScheme.size());
  const size_t question = text.find('?');
  parser.EachAttribute(
      text.substr(0, question), ';', [&](std::string_view name, std::string value) {
        if (name == "token") return parser.Set(uri.label, name, std::move(value));
        if (name == "manufacturer") return parser.Set(uri.manufacturer, name, std::move(value));
        if (name == "model") return parser.Set(uri.model, name, std::move(value));
        if (name == "serial") return parser.Set(uri.serial, name, std::move(value));
        parser.Fail("the attribute " + std::string(name) +
                    " is not supported; token, manufacturer, model and serial choose a token");
      });
  if (question == std::string_view::npos) return uri;
  parser.EachAttribute(
      text.substr(question + 1), '&', [&](std::string_view name, std::string value) {
        if (name == "module-path") return parser.Set(uri.module_path, name, std::move(value));
        if (name == "pin-value") {
          if (value.empty()) parser.Fail("pin-value: expected a PIN");
          return parser.Set(uri.pin_value, name, std::move(value));
        }
        if (name == "pin-source") {
          constexpr std::string_view kFile = "file:";
          if (value.starts_with(kFile)) value.erase(0, kFile.size());
          // file:///path: an empty authority (RFC 8089, section 2).
          if (value.starts_with("///")) value.erase(0, 2);
          if (!value.starts_with('/')) {
            parser.Fail("pin-source: expected an absolute path or a file: URI");
          }
          return parser.Set(uri.pin_source, name, std::move(value));
        }
        parser.Fail("the attribute " + std::string(name) +
                    " is not supported; there are module-path, pin-source and pin-value");
      });
  // RFC 7512, section 2.4.
  if (uri.pin_source && uri.pin_value) parser.Fail("expected one of pin-source and pin-value");
  return uri;
}

bool TokenUri::Matches(const TokenIdentity& token) const {
  return Fits(label, token.label) && Fits(manufacturer, token.manufacturer) &&
         Fits(model, token.model) && Fits(serial, token.serial) &&
         (!label_or_serial || *label_or_serial == token.label || *label_or_serial == token.serial);
}

std::string TokenUri::Description() const {
  if (label_or_serial) return '"' + *label_or_serial + '"';
  std::string description(kScheme);
  const auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (!value) return;
    if (description.size() > kScheme.size()) description += ';';
    description += std::string(name) + '=' + PercentEncoded(*value);
  };
  add("model", model);
  add("manufacturer", manufacturer);
  add("serial", serial);
  add("token", label);
  return description;
}

}  // namespace device_key
