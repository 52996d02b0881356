// Base64, base64url, origins, host names, key ids, TCTI strings and token URIs: the input is the
// text.
#include "crypto/base64.h"
#include "fuzz/oracle.h"
#include "protocol/key_id.h"
#include "protocol/origin.h"
#include "providers/pkcs11/token_uri.h"
#include "providers/tpm2/tcti_spec.h"

using namespace device_key;

namespace {

void CheckBase64(std::string_view text, ByteView bytes) {
  if (const auto decoded = Base64Decode(text)) {
    Require(Base64Encode(*decoded) == text, "base64 has one form");
  }
  if (const auto decoded = Base64UrlDecode(text)) {
    Require(Base64UrlEncode(*decoded) == text, "base64url has one form");
  }
  const Bytes copy(bytes.begin(), bytes.end());
  Require(Base64Decode(Base64Encode(bytes)) == copy, "base64 brings back the bytes");
  Require(Base64UrlDecode(Base64UrlEncode(bytes)) == copy, "base64url brings back the bytes");
}

void CheckOrigin(std::string_view text) {
  IsHostName(text);
  const auto origin = ParseOrigin(text);
  if (!origin) return;
  std::string again = origin->is_https ? "https://" : "http://";
  again += origin->host;
  if (!origin->port.empty()) again.append(":").append(origin->port);
  Require(again == text, "an origin is nothing but its parts");
  Require(origin->port.empty() || IsCanonicalPort(origin->port, origin->is_https),
          "a port is canonical");
  Require(origin->is_loopback || IsHostName(origin->host), "a host is a name or loopback");
}

void CheckTokenUri(std::string_view text) {
  const auto uri =
      Accepted({ErrorCode::kInvalidParams}, [&] { return TokenUri::Parse(text, "token"); });
  if (!uri || uri->label_or_serial) return;
  const TokenUri again = TokenUri::Parse(uri->Description(), "token");
  Require(again.label == uri->label && again.manufacturer == uri->manufacturer &&
              again.model == uri->model && again.serial == uri->serial,
          "a description names the same token");
}

// A token may have any label but NUL.
void CheckTokenIdentity(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return;
  const size_t middle = text.size() / 2;
  const TokenIdentity token{.label = std::string(text.substr(0, middle)),
                            .manufacturer = "maker",
                            .model = "model",
                            .serial = std::string(text.substr(middle))};
  Require(TokenUri::Parse(token.Uri(), "token").Matches(token), "a token's URI names it");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = Text(data, size);
  CheckBase64(text, {data, size});
  CheckOrigin(text);
  CheckTokenUri(text);
  CheckTokenIdentity(text);
  if (const auto id = KeyId::Parse(text)) Require(id->str() == text, "a key id is its text");
  Accepted({ErrorCode::kInvalidParams}, [&] { return TctiSpec::Parse(text); });
  return 0;
}
