// The params of callers that form the signed bytes themselves. Accepted bytes are signed unchanged.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "crypto/base64.h"
#include "protocol/decode.h"
#include "protocol/expect_error.h"
#include "protocol/payloads.h"
#include "protocol/signed_bytes.h"
#include "support/vectors.h"

namespace device_key {
namespace {

using nlohmann::json;

constexpr char kKeyId[] = "dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

SignParams Decode(const std::string& signed_bytes) {
  const json params = {{"keyId", kKeyId},
                       {"signedPayloadBase64", Base64Encode(AsBytes(signed_bytes))}};
  return DecodeSignBytesParams(params.dump());
}

void ExpectRefused(const std::string& signed_bytes,
                   const std::string& beginning = "signed payload: expected the canonical form") {
  SCOPED_TRACE(signed_bytes);
  ExpectError(ErrorCode::kInvalidPayload, beginning, [&] { Decode(signed_bytes); });
}

std::string Connection() { return SignedBytes(GoodConnection()); }

// The canonical bytes of GoodConnection, with one part replaced.
std::string With(const std::string& old_text, const std::string& new_text) {
  std::string bytes = Connection();
  const size_t place = bytes.find(old_text);
  EXPECT_NE(place, std::string::npos) << old_text;
  return bytes.replace(place, old_text.size(), new_text);
}

// The canonical bytes with `sessionId` written as `literal`.
std::string WithSession(const std::string& literal) { return With("wssess_01", literal); }

TEST(DecodeSignedBytes, AcceptCanonicalPayloadsOfBothTypes) {
  const SignParams connection = Decode(SignedBytes(GoodConnection()));
  EXPECT_EQ(connection.key_id.str(), kKeyId);
  EXPECT_EQ(std::get<ConnectionPayload>(connection.payload), GoodConnection());

  EXPECT_EQ(std::get<EnrollmentPayload>(Decode(SignedBytes(GoodEnrollment())).payload),
            GoodEnrollment());
}

TEST(DecodeSignedBytes, AcceptTheSharedVectors) {
  std::ifstream file = OpenVectors("signed-payload.json");
  const json vectors = json::parse(file).at("vectors");
  ASSERT_FALSE(vectors.empty());
  for (const json& vector : vectors) {
    const std::string bytes = vector.at("signedPayloadUtf8");
    EXPECT_EQ(SignedBytes(Decode(bytes).payload), bytes) << vector.at("name");
  }
}

TEST(DecodeSignedBytes, AcceptTheEscapesThatJsonRequires) {
  const SignParams params = Decode(WithSession(R"(\"\\\b\f\n\r\t\u0001\u001f/é€😀)"));

  EXPECT_EQ(std::get<ConnectionPayload>(params.payload).session_id, "\"\\\b\f\n\r\t\x01\x1f/é€😀");
}

// Accepted bytes are signed unchanged, so bytes in any other form must be refused.
TEST(DecodeSignedBytes, AcceptAChangedByteOnlyIfTheResultIsCanonical) {
  const std::string original = Connection();
  int taken = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = original;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      try {
        EXPECT_EQ(SignedBytes(Decode(changed).payload), changed);
        ++taken;
      } catch (const DeviceKeyError& error) {
        EXPECT_EQ(error.code(), ErrorCode::kInvalidPayload) << changed;
      }
    }
  }
  EXPECT_GT(taken, 0);  // for example a changed character in an id
}

TEST(DecodeSignedBytes, RefuseInvalidJson) {
  ExpectRefused("", "signed payload: expected one JSON value");
  ExpectRefused(std::string("\x00\x01\x02\xfd\xfe\xff", 6), "signed payload: expected JSON text");
  ExpectRefused("abcdef", "signed payload: expected one JSON value");
  ExpectRefused(Connection() + "x", "signed payload: expected one JSON value");
  ExpectRefused(Connection() + Connection(), "signed payload: expected one JSON value");
  ExpectRefused(Connection() + std::string(1, '\0'), "signed payload: expected JSON text");
  ExpectRefused("\xEF\xBB\xBF" + Connection(), "signed payload: expected JSON text");
  ExpectRefused(WithSession("\xff"), "signed payload: expected one JSON value");
  ExpectRefused(WithSession(R"(\ud800)"), "signed payload: expected one JSON value");
}

TEST(DecodeSignedBytes, RefuseAnythingButADomainAndAPayload) {
  ExpectRefused("[]", "signed payload: expected a JSON object");
  ExpectRefused("\"text\"", "signed payload: expected a JSON object");
  ExpectRefused("{}", "signed payload: domain: expected \"codex-device-key-sign-payload/v1\"");
  ExpectRefused(With("payload/v1", "payload/v2"), "signed payload: domain: expected");
  ExpectRefused(With("\"codex-device-key-sign-payload/v1\"", "1"),
                "signed payload: domain: expected");
  ExpectRefused(R"({"domain":"codex-device-key-sign-payload/v1"})",
                "signed payload: payload: expected an object");
  ExpectRefused(R"({"domain":"codex-device-key-sign-payload/v1","payload":[]})",
                "signed payload: payload: expected an object");
}

TEST(DecodeSignedBytes, RefuseMembersThatAreWrong) {
  ExpectRefused(With("\"remoteControlClientConnection\"", "\"remoteControlClient\""),
                "payload.type: expected");
  ExpectRefused(With("remote_control_client_websocket", "remote_control_client_enrollment"),
                "payload.audience: expected");
  ExpectRefused(With("\"sessionId\":\"wssess_01\",", ""), "payload.sessionId: expected a string");
  ExpectRefused(With("\"wssess_01\"", "1"), "payload.sessionId: expected a string");
  ExpectRefused(With("1800000060", "\"1800000060\""), "payload.tokenExpiresAt: expected");
}

TEST(DecodeSignedBytes, RefuseWhiteSpace) {
  ExpectRefused(" " + Connection());
  ExpectRefused(Connection() + "\n");
  ExpectRefused(With("\"sessionId\":", "\"sessionId\": "));
  ExpectRefused(With(",\"sessionId\"", ",\n\"sessionId\""));
  ExpectRefused(json::parse(Connection()).dump(2));
}

TEST(DecodeSignedBytes, RefuseMembersInAnotherOrder) {
  const json document = json::parse(Connection());
  ExpectRefused("{\"payload\":" + document["payload"].dump() +
                ",\"domain\":\"codex-device-key-sign-payload/v1\"}");

  const std::string nonce = "\"nonce\":\"" + GoodConnection().nonce + "\",";
  ExpectRefused(With(nonce, "").insert(Connection().find("\"accountUserId\""), nonce));
}

TEST(DecodeSignedBytes, RefuseMembersThatTheTypeDoesNotHave) {
  ExpectRefused(With("\"type\":", "\"typd\":1,\"type\":"));
  ExpectRefused(With("\"type\":", "\"challengeId\":\"rch_01\",\"type\":"));
  ExpectRefused(With("{\"domain\"", "{\"also\":1,\"domain\""));
}

TEST(DecodeSignedBytes, RefuseDuplicateMembers) {
  const std::string again = "\"sessionId\":\"wssess_01\",\"sessionId\":\"wssess_01\"";
  ExpectRefused(With("\"sessionId\":\"wssess_01\"", again), "signed payload: payload: expected");
  ExpectRefused(With("{\"domain\"", "{\"domain\":\"\",\"domain\""), "signed payload: expected");
}

TEST(DecodeSignedBytes, RefuseNeedlessEscapes) {
  for (const char* literal : {R"(\u0061)", R"(\/)", R"(\u000a)", R"(\u001F)", R"(\u00e9)",
                              R"(\u2028)", R"(\u007f)", R"(\ud83d\ude00)"}) {
    ExpectRefused(WithSession(literal));
  }
  ExpectRefused(With("\"sessionId\"", R"("session\u0049d")"));
}

TEST(DecodeSignedBytes, RefuseOtherNotationsOfANumber) {
  for (const char* literal : {"1800000060.0", "1.80000006e9", "18000000600e-1"}) {
    ExpectRefused(With("1800000060", literal));
  }
  ExpectRefused(With("1800000060", "01800000060"), "signed payload: expected one JSON value");
  ExpectRefused(With("1800000060", "-0"));
}

TEST(DecodeSignedBytes, RefuseMoreThanOneMebibyte) {
  ExpectError(ErrorCode::kInvalidParams, "expected at most 1 MiB of JSON text",
              [] { Decode(WithSession(std::string(1 << 20, 'x'))); });
}

TEST(DecodeSignedBytes, AreNeverQuoted) {
  for (const std::string& bytes : {WithSession("secret "), WithSession("secret\\/"),
                                   With("\"wssess_01\"", "[\"secret\"]"), std::string("secret")}) {
    try {
      Decode(bytes + " ");
      ADD_FAILURE() << "nothing was thrown";
    } catch (const DeviceKeyError& error) {
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
    }
  }
}

TEST(DecodeSignBytesParams, NeedCanonicalBase64) {
  const std::string base64 = Base64Encode(AsBytes(Connection() + " "));
  ASSERT_TRUE(base64.ends_with("="));
  for (const json& value :
       {json(), json(7), json::array({1, 2, 3}), json(base64 + "\n"), json(base64 + "="),
        json(base64.substr(0, base64.find('='))), json("_-__"), json("*")}) {
    const json params = {{"keyId", kKeyId}, {"signedPayloadBase64", value}};
    ExpectError(ErrorCode::kInvalidParams, "signedPayloadBase64: expected",
                [&] { DecodeSignBytesParams(params.dump()); });
  }
}

TEST(DecodeSignBytesParams, NeedAKeyId) {
  const json params = {{"keyId", "dk_tpm_short"},
                       {"signedPayloadBase64", Base64Encode(AsBytes(Connection()))}};

  ExpectError(ErrorCode::kInvalidParams, "keyId: expected",
              [&] { DecodeSignBytesParams(params.dump()); });
}

TEST(DecodeCreateUnboundParams, DefaultToHardwareOnly) {
  for (const char* text :
       {"{}", R"({"protectionPolicy":null})", R"({"protectionPolicy":"hardware_only"})"}) {
    EXPECT_EQ(DecodeCreateUnboundParams(text).protection_policy, ProtectionPolicy::kHardwareOnly);
  }
  EXPECT_EQ(DecodeCreateUnboundParams(R"({"protectionPolicy":"allow_os_protected_nonextractable"})")
                .protection_policy,
            ProtectionPolicy::kAllowOsProtectedNonextractable);
}

TEST(DecodeCreateUnboundParams, RefuseOtherPolicies) {
  for (const char* text : {R"({"protectionPolicy":"software"})", R"({"protectionPolicy":false})",
                           R"({"protectionPolicy":"Hardware_only"})"}) {
    ExpectError(ErrorCode::kInvalidParams, "protectionPolicy: expected",
                [&] { DecodeCreateUnboundParams(text); });
  }
  ExpectError(ErrorCode::kInvalidParams, "expected the params",
              [] { DecodeCreateUnboundParams("null"); });
}

}  // namespace
}  // namespace device_key
