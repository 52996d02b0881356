#include "providers/pkcs11/token_uri.h"

#include <gtest/gtest.h>

#include "platform/expect_error.h"

namespace device_key {
namespace {

const TokenIdentity kCard{
    .label = "my card; blue", .manufacturer = "ACME", .model = "M1", .serial = "0042"};

TokenUri Parse(std::string_view text) { return TokenUri::Parse(text, "options.pkcs11.token"); }

void ExpectRefused(std::string_view text, const std::string& reason) {
  ExpectError(
      ErrorCode::kInvalidParams, [&] { Parse(text); }, reason);
}

TEST(TokenUriTest, MatchesAPlainLabelOrSerialNumber) {
  EXPECT_TRUE(Parse("my card; blue").Matches(kCard));
  EXPECT_TRUE(Parse("0042").Matches(kCard));
  EXPECT_FALSE(Parse("my card").Matches(kCard));
}

TEST(TokenUriTest, MatchesAllAttributesOfAUri) {
  EXPECT_TRUE(Parse("pkcs11:token=my%20card%3b%20blue;serial=0042").Matches(kCard));
  EXPECT_FALSE(Parse("pkcs11:token=my%20card%3b%20blue;serial=0043").Matches(kCard));
  EXPECT_FALSE(Parse("pkcs11:manufacturer=ACME;model=M2").Matches(kCard));
}

TEST(TokenUriTest, MatchesEveryTokenWithoutAttributes) {
  EXPECT_TRUE(Parse("pkcs11:").Matches(kCard));
}

TEST(TokenUriTest, ReadsBackTheUriOfAToken) {
  const TokenUri uri = Parse(kCard.Uri());
  EXPECT_TRUE(uri.Matches(kCard));
  TokenIdentity other = kCard;
  other.serial = "0043";
  EXPECT_FALSE(uri.Matches(other));
}

TEST(TokenUriTest, ReadsTheQuery) {
  const TokenUri uri =
      Parse("pkcs11:token=t?module-path=/usr/lib/m.so&pin-source=file:///run/my%20pin");
  EXPECT_EQ(uri.module_path, "/usr/lib/m.so");
  EXPECT_EQ(uri.pin_source, "/run/my pin");
  EXPECT_EQ(Parse("pkcs11:?pin-value=12%26").pin_value, "12&");
}

TEST(TokenUriTest, DescribesATokenWithoutItsPin) {
  EXPECT_EQ(Parse("pkcs11:token=t;serial=1?pin-value=1234").Description(),
            "pkcs11:serial=1;token=t");
}

TEST(TokenUriTest, AcceptsTheSchemeInAnyCase) {
  EXPECT_EQ(Parse("PKCS11:token=t?pin-value=1234").Description(), "pkcs11:token=t");
}

TEST(TokenUriTest, RefusesAnEmptyPinAndTwoSourcesOfIt) {
  ExpectRefused("pkcs11:token=t?pin-value=", "pin-value: expected a PIN");
  ExpectRefused("pkcs11:token=t?pin-source=/run/pin&pin-value=1234", "pin-source and pin-value");
}

TEST(TokenUriTest, RefusesUnsupportedAttributes) {
  ExpectRefused("pkcs11:slot-id=1", "slot-id is not supported");
  ExpectRefused("pkcs11:token=t;object=key", "object is not supported");
  ExpectRefused("pkcs11:token=t?module-name=m", "module-name is not supported");
}

TEST(TokenUriTest, RefusesADuplicateAttribute) {
  ExpectRefused("pkcs11:token=a;token=b", "token is given twice");
}

TEST(TokenUriTest, RefusesBadPercentEncoding) {
  for (const char* uri :
       {"pkcs11:token=%", "pkcs11:token=%2", "pkcs11:token=%zz", "pkcs11:token=%00"}) {
    ExpectRefused(uri, "two hexadecimal digits");
  }
}

TEST(TokenUriTest, RefusesNul) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text : {"pkcs11:token=a\0b"sv, "a\0b"sv}) {
    ExpectRefused(text, "without NUL");
  }
}

TEST(TokenUriTest, RefusesACommandAsPinSource) {
  ExpectRefused("pkcs11:token=t?pin-source=%7Ccat%20pin", "pin-source: expected an absolute path");
}

}  // namespace
}  // namespace device_key
