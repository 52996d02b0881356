#include "protocol/origin.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <tuple>
#include <utility>

namespace device_key {

namespace {

constexpr std::string_view kIpv6Loopback = "[::1]";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLowerLetter(char c) { return c >= 'a' && c <= 'z'; }

bool ConsumePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Splits at the first `separator`. The second part is nullopt when there is none.
std::pair<std::string_view, std::optional<std::string_view>> SplitFirst(std::string_view text,
                                                                        char separator) {
  const size_t end = text.find(separator);
  if (end == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, end), text.substr(end + 1)};
}

// A decimal number without sign or leading zeros, at most `max`.
std::optional<uint32_t> ParseDecimal(std::string_view text, uint32_t max) {
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || value > max) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

bool IsIpv4Loopback(std::string_view text) {
  int octets = 0;
  for (std::optional<std::string_view> rest = text; rest;) {
    const auto [octet_text, behind] = SplitFirst(*rest, '.');
    const std::optional<uint32_t> octet = ParseDecimal(octet_text, 255);
    if (!octet || (octets == 0 && *octet != 127)) return false;
    ++octets;
    rest = behind;
  }
  return octets == 4;
}

bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return IsLowerLetter(c) || IsDigit(c) || c == '-'; });
}

// URL parsers read a host as an IPv4 address when its last label is decimal, octal or hexadecimal
// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
bool IsNumericLabel(std::string_view label) {
  if (ConsumePrefix(label, "0x")) {
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
  }
  return std::all_of(label.begin(), label.end(), IsDigit);
}

}  // namespace

bool IsCanonicalPort(std::string_view text, bool is_https) {
  const std::optional<uint32_t> port = ParseDecimal(text, 65535);
  return port && *port != 0 && *port != (is_https ? 443u : 80u);
}

bool IsHostName(std::string_view text) {
  if (text.size() > 253) return false;
  std::string_view last_label;
  for (std::optional<std::string_view> rest = text; rest;) {
    const auto [label, behind] = SplitFirst(*rest, '.');
    if (!IsLabel(label)) return false;
    last_label = label;
    rest = behind;
  }
  return !IsNumericLabel(last_label);
}

std::optional<Origin> ParseOrigin(std::string_view text) {
  Origin origin;
  origin.is_https = ConsumePrefix(text, "https://");
  if (!origin.is_https && !ConsumePrefix(text, "http://")) return std::nullopt;

  std::optional<std::string_view> port;
  if (text.starts_with(kIpv6Loopback)) {
    // The colons inside the brackets do not start a port.
    const auto [nothing, port_text] = SplitFirst(text.substr(kIpv6Loopback.size()), ':');
    if (!nothing.empty()) return std::nullopt;
    origin.host = text.substr(0, kIpv6Loopback.size());
    origin.is_loopback = true;
    port = port_text;
  } else {
    std::tie(origin.host, port) = SplitFirst(text, ':');
    origin.is_loopback = origin.host == "localhost" || IsIpv4Loopback(origin.host);
    if (!origin.is_loopback && !IsHostName(origin.host)) return std::nullopt;
  }
  if (port) {
    if (!IsCanonicalPort(*port, origin.is_https)) return std::nullopt;
    origin.port = *port;
  }
  return origin;
}

}  // namespace device_key
