#include "protocol/dpop.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crypto/base64.h"
#include "protocol/expect_error.h"

namespace device_key {
namespace {

const char kDigest[] = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

// The SPKI of a JWK's coordinates.
Bytes Spki(const std::string& x, const std::string& y) {
  return SpkiFromPoint(*Base64UrlDecode(x), *Base64UrlDecode(y));
}

// RFC 9449, figure 2: the key of all its examples.
Bytes Rfc9449Key() {
  return Spki("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
              "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");
}

DpopClaims Claims() {
  return {
      .htm = "POST", .htu = "https://server.example.com/token", .nonce = {}, .ath = {}, .jti = {}};
}

std::string Part(const std::string& jws, size_t index) {
  size_t begin = 0;
  while (index-- > 0) begin = jws.find('.', begin) + 1;
  const Bytes bytes = *Base64UrlDecode(jws.substr(begin, jws.find('.', begin) - begin));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::string> Refused(const char* member, std::vector<std::string> texts,
                                 void (*set)(DpopClaims&, const std::string&)) {
  std::vector<std::string> let_through;
  for (const std::string& text : texts) {
    DpopClaims claims = Claims();
    set(claims, text);
    try {
      CheckDpopClaims(claims);
      let_through.push_back(text);
    } catch (const DeviceKeyError& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidParams) << text;
      EXPECT_TRUE(std::string(error.what()).starts_with(std::string(member) + ": ")) << text;
    }
  }
  return let_through;
}

// RFC 9449, section 6.1: the `jkt` of the access token in figure 8 is that of the example key.
TEST(JwkThumbprintTest, EqualsTheExampleOfRfc9449) {
  EXPECT_EQ(JwkThumbprint(Rfc9449Key()), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

TEST(JwkThumbprintTest, HashesTheRequiredMembersInTheOrderOfRfc7638) {
  EXPECT_EQ(EcJwk(Rfc9449Key()),
            R"({"crv":"P-256","kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",)"
            R"("y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"})");
}

TEST(DpopSigningInputTest, HasTheHeaderAndClaimsOfRfc9449) {
  // From figure 2, which has the header and claims in other orders.
  const std::string input =
      DpopSigningInput(Rfc9449Key(), Claims(), "-BwC3ESc6acc2lTc", 1562262616);

  EXPECT_EQ(nlohmann::json::parse(Part(input, 0)), nlohmann::json::parse(R"({
    "typ":"dpop+jwt", "alg":"ES256", "jwk": {"kty":"EC", "crv":"P-256",
      "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
      "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}})"));
  EXPECT_EQ(nlohmann::json::parse(Part(input, 1)), nlohmann::json::parse(R"({
    "jti":"-BwC3ESc6acc2lTc", "htm":"POST", "htu":"https://server.example.com/token",
    "iat":1562262616})"));
}

TEST(DpopSigningInputTest, HasTheGivenMembersSorted) {
  DpopClaims claims = Claims();
  claims.nonce = "nonce-1";
  claims.ath = kDigest;

  EXPECT_EQ(Part(DpopSigningInput(Rfc9449Key(), claims, "random", 5), 1),
            std::string(R"({"ath":")") + kDigest +
                R"(","htm":"POST","htu":"https://server.example.com/token","iat":5,)"
                R"("jti":"random","nonce":"nonce-1"})");
}

TEST(DpopSigningInputTest, UsesTheJtiOfAnAuthorizationCode) {
  DpopClaims claims = Claims();
  claims.jti = kDigest;

  EXPECT_EQ(
      nlohmann::json::parse(Part(DpopSigningInput(Rfc9449Key(), claims, "random", 5), 1))["jti"],
      kDigest);
}

// One key could be asked to sign both kinds. Their first bytes differ, so the kinds cannot be
// confused.
TEST(DpopSigningInputTest, BeginsUnlikeEverySignedPayload) {
  EXPECT_TRUE(DpopSigningInput(Rfc9449Key(), Claims(), "random", 5).starts_with("eyJ"));
}

TEST(DpopProofTest, EndsWithTheRawSignature) {
  RawEcdsaSignature signature{};
  signature.fill(0xff);

  EXPECT_EQ(DpopProof("header.claims", signature),
            "header.claims." + Base64UrlEncode(Bytes(64, 0xff)));
}

TEST(DpopRulesTest, AcceptGoodClaims) {
  for (const char* htm : {"GET", "POST", "M-SEARCH", "!#$%&'*+-.^_`|~09"}) {
    DpopClaims claims = Claims();
    claims.htm = htm;
    EXPECT_NO_THROW(CheckDpopClaims(claims)) << htm;
  }
  for (const char* htu :
       {"https://a.example/", "https://a.example:8443/token", "http://localhost/",
        "http://127.0.0.1:3000/a", "http://[::1]:3000/a/", "https://a.example/a//b/%2F/@:;=,$!~|'",
        "https://a.example/...", "https://a.example/.a", "https://a.example/%2e%2e%2e",
        "https://xn--bcher-kva.example/%C3%BC", "https://a.example/[x]"}) {
    DpopClaims claims = Claims();
    claims.htu = htu;
    EXPECT_NO_THROW(CheckDpopClaims(claims)) << htu;
  }
  DpopClaims claims = Claims();
  claims.nonce = std::string(1024, '~');
  claims.ath = kDigest;
  EXPECT_NO_THROW(CheckDpopClaims(claims));
}

TEST(DpopRulesTest, RefuseMethodsThatAreNoTokenOrHaveLowerCase) {
  EXPECT_TRUE(Refused("htm",
                      {"", "post", "POSt", "PO ST", "POST\n", "P\"", "P\\", "P(", "P\xc3\xa9"},
                      [](DpopClaims& claims, const std::string& text) { claims.htm = text; })
                  .empty());
}

TEST(DpopRulesTest, RefuseUrlsThatAreNotTheirOwnSerialisation) {
  const std::vector<std::string> let_through =
      Refused("htu",
              {"",
               "/token",
               "https://a.example",
               "HTTPS://a.example/",
               "https://A.example/",
               "https://a.example:443/",
               "http://localhost:80/",
               "https:a.example/",
               "https:/a.example/",
               "https://a.example/a/../b",
               "https://a.example/.",
               "https://a.example/..",
               "https://a.example/%2e",
               "https://a.example/%2E./",
               "https://a.example/.%2e/x",
               "https://a.example/a b",
               "https://a.example/\t",
               "https://a.example/ü",
               "https://a.example\\x",
               "https://a.example/\\x",
               "https://a.example/<",
               "https://a.example/>",
               "https://a.example/\"",
               "https://a.example/^",
               "https://a.example/`",
               "https://a.example/{",
               "https://a.example/}",
               " https://a.example/",
               "https://a.example/ ",
               "https://bücher.example/",
               "https://a.example:08443/",
               "https://a.example:0/",
               "https://a.example:65536/",
               "http://2130706433/",
               "http://127.1/",
               std::string("https://a.example/\0", 19),
               "https://a.example/\x7f"},
              [](DpopClaims& claims, const std::string& text) { claims.htu = text; });
  EXPECT_TRUE(let_through.empty()) << let_through.front();
}

TEST(DpopRulesTest, RefuseUserInfoQueryFragmentAndPlainHttp) {
  const std::vector<std::string> let_through =
      Refused("htu",
              {"https://user@a.example/", "https://user:pw@a.example/", "https://@a.example/",
               "https://a.example/?", "https://a.example/?q=1", "https://a.example/#",
               "https://a.example/#f", "http://a.example/", "ftp://a.example/", "wss://a.example/",
               "http://128.0.0.1/", "http://localhost.example/"},
              [](DpopClaims& claims, const std::string& text) { claims.htu = text; });
  EXPECT_TRUE(let_through.empty()) << let_through.front();
}

TEST(DpopRulesTest, RefuseNoncesThatAreNotNqchar) {
  EXPECT_TRUE(Refused("nonce",
                      {"", "a b", "\"", "\\", "\x7f", "\n", "\xc3\xa9", std::string(1025, 'a')},
                      [](DpopClaims& claims, const std::string& text) { claims.nonce = text; })
                  .empty());
}

TEST(DpopRulesTest, RefuseDigestsThatAreNotCanonical) {
  const std::string digest = kDigest;
  EXPECT_TRUE(Refused("accessTokenSha256Base64url",
                      {"", digest + "=", digest.substr(1), digest + "A", "*" + digest.substr(1),
                       digest.substr(0, 42) + "p"},
                      [](DpopClaims& claims, const std::string& text) { claims.ath = text; })
                  .empty());
}

TEST(DpopRulesTest, RequireAnOriginOfTheKey) {
  const std::vector<std::string> origins = {"http://localhost:3000", "https://a.example"};

  EXPECT_NO_THROW(CheckDpopOrigin("https://a.example/token", origins));
  EXPECT_NO_THROW(CheckDpopOrigin("http://localhost:3000/", origins));
  for (const char* htu : {"https://a.example.evil/", "https://b.example/", "http://localhost/",
                          "http://localhost:30001/", "https://localhost:3000/"}) {
    ExpectError(ErrorCode::kBindingMismatch, "htu: ", [&] { CheckDpopOrigin(htu, origins); });
  }
}

TEST(DpopRulesTest, NameTheWrongOriginOfANewKey) {
  const auto check = [](std::vector<std::string> origins) {
    CheckCreateDpopKeyParams({.client_id = "client-1", .origins = std::move(origins)});
  };
  EXPECT_NO_THROW(check({"https://a.example", "http://localhost:1", "http://127.0.0.1"}));
  ExpectError(ErrorCode::kInvalidParams, "origins: ", [&] { check({}); });
  for (const char* origin : {"", "https://a.example/", "http://a.example", "https://A.example",
                             "https://*.example", "null", "https://a.example:443"}) {
    ExpectError(ErrorCode::kInvalidParams, "origins[1]: ", [&] {
      check({"https://a.example", origin});
    });
  }
}

TEST(DpopRulesTest, RefuseANewKeyWithoutClient) {
  for (const std::string& client_id : {std::string(), std::string("a\0b", 3)}) {
    ExpectError(ErrorCode::kInvalidParams, "clientId: ", [&] {
      CheckCreateDpopKeyParams({.client_id = client_id, .origins = {"https://a.example"}});
    });
  }
}

}  // namespace
}  // namespace device_key
