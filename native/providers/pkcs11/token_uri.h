// Which token: RFC 7512 `pkcs11:` URIs.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_URI_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_URI_H_

#include <optional>
#include <string>
#include <string_view>

namespace device_key {

// The members of CK_TOKEN_INFO that identify a token, without padding.
struct TokenIdentity {
  std::string label;
  std::string manufacturer;
  std::string model;
  std::string serial;
  bool operator==(const TokenIdentity&) const = default;

  // pkcs11:model=...;manufacturer=...;serial=...;token=..., which matches only this token.
  std::string Uri() const;
};

// A choice among tokens; an absent attribute matches every token.
struct TokenUri {
  std::optional<std::string> label;
  std::optional<std::string> manufacturer;
  std::optional<std::string> model;
  std::optional<std::string> serial;
  std::optional<std::string> label_or_serial;  // from a plain name
  std::optional<std::string> module_path;
  std::optional<std::string> pin_source;  // a path
  std::optional<std::string> pin_value;

  // A `pkcs11:` URI, or the plain label or serial number of a token. Of the URI's attributes token,
  // manufacturer, model, serial, module-path, pin-source (a path or a file: URI) and pin-value are
  // known. Others are refused, because ignoring one could select another token than the caller
  // means. Throws `invalid_params`, with a message that begins with `what`.
  static TokenUri Parse(std::string_view text, std::string_view what);

  bool Matches(const TokenIdentity& token) const;

  // The attributes that a token must match, without PIN and module, for messages.
  std::string Description() const;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_URI_H_
