#include "protocol/signed_bytes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "crypto/sha256.h"
#include "protocol/decode.h"
#include "protocol/expect_error.h"
#include "protocol/payloads.h"
#include "support/vectors.h"

namespace device_key {
namespace {

using nlohmann::json;

std::string HexOf(const Sha256Digest& digest) {
  std::string hex;
  for (const uint8_t byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

TEST(SignedBytes, EqualTheSharedVectors) {
  std::ifstream file = OpenVectors("signed-payload.json");
  const json vectors = json::parse(file).at("vectors");
  ASSERT_FALSE(vectors.empty());
  for (const json& vector : vectors) {
    const json params = {{"keyId", "dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"},
                         {"payload", vector.at("payload")}};
    const std::string bytes = SignedBytes(DecodeSignParams(params.dump()).payload);
    EXPECT_EQ(bytes, vector.at("signedPayloadUtf8").get<std::string>()) << vector.at("name");
    EXPECT_EQ(HexOf(Sha256(AsBytes(bytes))), vector.at("signedPayloadSha256Hex").get<std::string>())
        << vector.at("name");
  }
}

TEST(SignedBytes, EscapeEveryControlCharacterAndNothingElse) {
  ConnectionPayload payload = GoodConnection();
  std::string expected;
  payload.session_id.clear();
  for (int c = 0; c < 0x20; ++c) {
    payload.session_id += static_cast<char>(c);
    switch (c) {
      case '\b':
        expected += "\\b";
        break;
      case '\t':
        expected += "\\t";
        break;
      case '\n':
        expected += "\\n";
        break;
      case '\f':
        expected += "\\f";
        break;
      case '\r':
        expected += "\\r";
        break;
      default:
        expected += c < 0x10 ? "\\u000" : "\\u001";
        expected += "0123456789abcdef"[c & 15];
    }
  }
  payload.session_id += "\"\\/<>&'\x7f\u0080\u2028\U0010ffff";
  expected += "\\\"\\\\/<>&'\x7f\u0080\u2028\U0010ffff";
  EXPECT_THAT(SignedBytes(payload),
              testing::HasSubstr("\"sessionId\":\"" + expected + "\",\"targetOrigin\""));
}

TEST(SignedBytes, HoldIntegersOfAnySizeExactly) {
  ConnectionPayload payload = GoodConnection();
  payload.token_expires_at = INT64_MAX;
  EXPECT_THAT(SignedBytes(payload), testing::HasSubstr("\"tokenExpiresAt\":9223372036854775807,"));
  payload.token_expires_at = INT64_MIN;
  EXPECT_THAT(SignedBytes(payload), testing::HasSubstr("\"tokenExpiresAt\":-9223372036854775808,"));
}

TEST(SignedBytes, RefuseInvalidUtf8WithoutQuotingIt) {
  for (const char* bytes : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80"}) {
    ConnectionPayload payload = GoodConnection();
    payload.session_id = bytes;
    ExpectError(ErrorCode::kInvalidPayload, "payload: expected all strings in UTF-8",
                [&] { SignedBytes(payload); });
  }
}

}  // namespace
}  // namespace device_key
