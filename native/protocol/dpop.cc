#include "protocol/dpop.h"

#include <algorithm>
#include <optional>

#include "crypto/base64.h"
#include "crypto/sha256.h"
#include "platform/error.h"
#include "protocol/origin.h"

namespace device_key {

namespace {

constexpr size_t kMaxDpopNonceLength = 1024;

[[noreturn]] void RefuseParam(std::string_view member, const std::string& expected) {
  throw DeviceKeyError(ErrorCode::kInvalidParams, std::string(member) + ": expected " + expected);
}

// In canonical form, and a permitted destination of a proof.
bool IsDpopOrigin(std::string_view text) {
  const std::optional<Origin> origin = ParseOrigin(text);
  return origin && (origin->is_https || origin->is_loopback);
}

// RFC 9110 section 5.6.2, without lower-case letters: methods are compared as they are written.
bool IsMethodCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// RFC 6749 appendix A: NQCHAR.
bool IsNonceCharacter(char c) { return c > ' ' && c < '\x7f' && c != '"' && c != '\\'; }

// The characters of a path that a URL serialiser does not change
// (https://url.spec.whatwg.org/#path-percent-encode-set).
bool IsPathCharacter(char c) {
  return c > ' ' && c < '\x7f' &&
         std::string_view("\"#<>?\\^`{}").find(c) == std::string_view::npos;
}

// "." and ".." in every spelling, which URL parsers remove
// (https://url.spec.whatwg.org/#single-dot-path-segment).
bool IsDotSegment(std::string_view segment) {
  int dots = 0;
  while (!segment.empty()) {
    if (segment.starts_with('.')) {
      segment.remove_prefix(1);
    } else if (segment.starts_with("%2e") || segment.starts_with("%2E")) {
      segment.remove_prefix(3);
    } else {
      return false;
    }
    ++dots;
  }
  return dots == 1 || dots == 2;
}

bool IsSerializedPath(std::string_view path) {
  if (!path.starts_with('/') || !std::all_of(path.begin(), path.end(), IsPathCharacter)) {
    return false;
  }
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (IsDotSegment(segment)) return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

// The length of "scheme://host:port" in `url`: up to the slash that begins the path.
size_t OriginLength(std::string_view url) {
  constexpr std::string_view kSeparator = "://";
  const size_t separator = url.find(kSeparator);
  if (separator == std::string_view::npos) return url.size();
  return std::min(url.find('/', separator + kSeparator.size()), url.size());
}

void CheckHtu(std::string_view htu) {
  const size_t origin_length = OriginLength(htu);
  if (!IsDpopOrigin(htu.substr(0, origin_length)) || !IsSerializedPath(htu.substr(origin_length))) {
    RefuseParam("htu",
                "a URL as the URL standard serialises it, https, or http on a loopback host: a "
                "host name in lower case, never the default port, a path, and no user info, query "
                "or fragment");
  }
}

void CheckDpopDigest(std::string_view member, const std::string& digest) {
  const std::optional<Bytes> bytes = Base64UrlDecode(digest);
  if (!bytes || bytes->size() != Sha256Digest{}.size()) {
    RefuseParam(member, "a SHA-256 digest (32 bytes) in canonical, unpadded base64url");
  }
}

// `"name":"value"`. No value that has passed the rules needs an escape.
void AppendMember(std::string& json, std::string_view name, std::string_view value) {
  json.append(json.ends_with('{') ? "\"" : ",\"").append(name).append("\":\"");
  json.append(value).append("\"");
}

std::string DpopHeader(ByteView spki_der) {
  return R"({"alg":"ES256","jwk":)" + EcJwk(spki_der) + R"(,"typ":"dpop+jwt"})";
}

std::string DpopClaimsJson(const DpopClaims& claims, std::string_view jti, int64_t iat) {
  std::string json = "{";
  if (claims.ath) AppendMember(json, "ath", *claims.ath);
  AppendMember(json, "htm", claims.htm);
  AppendMember(json, "htu", claims.htu);
  json.append(",\"iat\":").append(std::to_string(iat));
  AppendMember(json, "jti", claims.jti ? std::string_view(*claims.jti) : jti);
  if (claims.nonce) AppendMember(json, "nonce", *claims.nonce);
  return json + "}";
}

}  // namespace

void CheckCreateDpopKeyParams(const CreateDpopKeyParams& params) {
  // A NUL separates what a key is bound to.
  if (params.client_id.empty() || params.client_id.find('\0') != std::string::npos) {
    RefuseParam("clientId", "a string that is not empty and has no NUL");
  }
  if (params.origins.empty()) RefuseParam("origins", "one origin or more");
  for (size_t i = 0; i < params.origins.size(); ++i) {
    if (IsDpopOrigin(params.origins[i])) continue;
    RefuseParam("origins[" + std::to_string(i) + "]",
                "an origin in its canonical form, https, or http on a loopback host: \"://\" and a "
                "host in lower case; no user info, path or final slash; never the default port");
  }
}

void CheckDpopClaims(const DpopClaims& claims) {
  if (claims.htm.empty() || !std::all_of(claims.htm.begin(), claims.htm.end(), IsMethodCharacter)) {
    RefuseParam("htm", "an HTTP method: a token without lower-case letters");
  }
  CheckHtu(claims.htu);
  if (claims.nonce &&
      (claims.nonce->empty() || claims.nonce->size() > kMaxDpopNonceLength ||
       !std::all_of(claims.nonce->begin(), claims.nonce->end(), IsNonceCharacter))) {
    RefuseParam("nonce", "1 to 1,024 visible ASCII characters without \" and \\");
  }
  if (claims.ath) CheckDpopDigest("accessTokenSha256Base64url", *claims.ath);
}

void CheckDpopOrigin(std::string_view htu, const std::vector<std::string>& origins) {
  const std::string_view origin = htu.substr(0, OriginLength(htu));
  if (std::find(origins.begin(), origins.end(), origin) == origins.end()) {
    throw DeviceKeyError(ErrorCode::kBindingMismatch,
                         "htu: expected a URL of an origin that the key was made for; make a key "
                         "for this origin, or use its key");
  }
}

std::string EcJwk(ByteView spki_der) {
  const P256Point point = PointFromSpki(spki_der);
  std::string jwk = "{";
  AppendMember(jwk, "crv", "P-256");
  AppendMember(jwk, "kty", "EC");
  AppendMember(jwk, "x", Base64UrlEncode(point.x));
  AppendMember(jwk, "y", Base64UrlEncode(point.y));
  return jwk + "}";
}

std::string JwkThumbprint(ByteView spki_der) {
  return Base64UrlEncode(Sha256(AsBytes(EcJwk(spki_der))));
}

std::string DpopSigningInput(ByteView spki_der, const DpopClaims& claims, std::string_view jti,
                             int64_t iat) {
  return Base64UrlEncode(AsBytes(DpopHeader(spki_der))) + '.' +
         Base64UrlEncode(AsBytes(DpopClaimsJson(claims, jti, iat)));
}

std::string DpopProof(std::string_view signing_input, const RawEcdsaSignature& signature) {
  return std::string(signing_input) + '.' + Base64UrlEncode(signature);
}

}  // namespace device_key
