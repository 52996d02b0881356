// Origins in the one form in which they may be signed.
//
// An origin is signed as it was written, so it is never normalised here: a parser that repairs its
// input would approve `https:chatgpt.com` or `http://2130706433` and sign a text that another
// reader understands as another origin. A text that is not in canonical form is refused.
#ifndef DEVICE_KEY_PROTOCOL_ORIGIN_H_
#define DEVICE_KEY_PROTOCOL_ORIGIN_H_

#include <optional>
#include <string_view>

namespace device_key {

// Views into the text it was parsed from.
struct Origin {
  bool is_https = false;
  std::string_view host;     // "[::1]" with its brackets
  std::string_view port;     // decimal; empty for the scheme's default, which is never written
  bool is_loopback = false;  // localhost, 127.0.0.0/8 or [::1]
};

// scheme "://" host [":" port] with the scheme `http` or `https`, the host a lower-case name, a
// dotted-quad address in 127.0.0.0/8 or [::1], and a port that IsCanonicalPort accepts.
std::optional<Origin> ParseOrigin(std::string_view text);

// A port from 1 to 65535 in decimal, without leading zeros, and not the scheme's default (443 for
// https, 80 for http): the canonical form of an origin leaves the default port out.
bool IsCanonicalPort(std::string_view text, bool is_https);

// A host name of RFC 1123 in lower case (letters, digits and inner hyphens; labels of 1 to 63 and
// 253 characters in all; no final dot) that no URL parser reads as an IPv4 address.
bool IsHostName(std::string_view text);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_ORIGIN_H_
