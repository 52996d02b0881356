// DPoP: the input is the JSON text of the params of createDpopKey or signDpop.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "crypto/base64.h"
#include "fuzz/oracle.h"
#include "protocol/decode.h"
#include "protocol/dpop.h"
#include "protocol/origin.h"

using namespace device_key;

namespace {

constexpr char kJti[] = "AAECAwQFBgcICQoLDA0ODw";
constexpr int64_t kIat = 1'800'000'000;

// A public key: the base point of P-256 (SEC 2 section 2.4.2) as a SubjectPublicKeyInfo.
const Bytes& PublicKey() {
  static const Bytes key = *Base64Decode(
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/"
      "m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==");
  return key;
}

nlohmann::json DecodedPart(std::string_view part) {
  const auto bytes = Base64UrlDecode(part);
  Require(bytes.has_value(), "a part of the signing input is base64url");
  return nlohmann::json::parse(*bytes);
}

void Check(const DpopClaims& claims) {
  const std::string input = DpopSigningInput(PublicKey(), claims, kJti, kIat);
  const size_t dot = input.find('.');
  Require(DecodedPart(input.substr(0, dot))["typ"] == "dpop+jwt", "the header can be read");

  nlohmann::json expected = {{"htm", claims.htm}, {"htu", claims.htu}, {"iat", kIat}};
  expected["jti"] = claims.jti.value_or(kJti);
  if (claims.nonce) expected["nonce"] = *claims.nonce;
  if (claims.ath) expected["ath"] = *claims.ath;
  Require(DecodedPart(input.substr(dot + 1)) == expected,
          "the claims can be read from the signing input");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = Text(data, size);
  static constexpr auto kCodes = {ErrorCode::kInvalidParams};
  Accepted(kCodes, [&] {
    const CreateDpopKeyParams params = DecodeCreateDpopKeyParams(text);
    CheckCreateDpopKeyParams(params);
    for (const std::string& origin : params.origins) {
      Require(ParseOrigin(origin).has_value(), "an origin that is accepted is canonical");
    }
    return true;
  });
  const auto sign = Accepted(kCodes, [&] {
    SignDpopParams params = DecodeSignDpopParams(text);
    CheckDpopClaims(params.claims);
    return params;
  });
  if (sign) Check(sign->claims);
  return 0;
}
