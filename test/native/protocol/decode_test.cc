#include "protocol/decode.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "protocol/expect_error.h"
#include "protocol/payloads.h"

namespace device_key {
namespace {

using nlohmann::json;

const char kKeyId[] = "dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

json CreateJson() { return {{"accountUserId", "user-7f3a"}, {"clientId", "cli_42"}}; }

json ConnectionJson() {
  return {
      {"type", "remoteControlClientConnection"},
      {"nonce", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"},
      {"audience", "remote_control_client_websocket"},
      {"sessionId", "wssess_01"},
      {"targetOrigin", "https://chatgpt.com"},
      {"targetPath", "/api/codex/remote/control/client"},
      {"accountUserId", "user-7f3a"},
      {"clientId", "cli_42"},
      {"tokenExpiresAt", kNow + 60},
      {"tokenSha256Base64url", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
      {"scopes", {"remote_control_controller_websocket"}},
  };
}

json EnrollmentJson() {
  return {
      {"type", "remoteControlClientEnrollment"},
      {"nonce", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"},
      {"audience", "remote_control_client_enrollment"},
      {"challengeId", "rch_01"},
      {"targetOrigin", "https://chatgpt.com"},
      {"targetPath", "/wham/remote/control/client/enroll"},
      {"accountUserId", "user-7f3a"},
      {"clientId", "cli_42"},
      {"deviceIdentitySha256Base64url", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
      {"challengeExpiresAt", kNow + 60},
  };
}

json SignJson(const json& payload) { return {{"keyId", kKeyId}, {"payload", payload}}; }

template <typename Mutate>
void ExpectPayloadRefused(json payload, const std::string& beginning, Mutate mutate) {
  mutate(payload);
  ExpectError(ErrorCode::kInvalidPayload, beginning,
              [&] { DecodeSignParams(SignJson(payload).dump()); });
}

TEST(DecodeCreateParams, ReadsTheMembers) {
  json params = CreateJson();
  params["protectionPolicy"] = "allow_os_protected_nonextractable";
  EXPECT_EQ(
      DecodeCreateParams(params.dump()),
      (CreateParams{"user-7f3a", "cli_42", ProtectionPolicy::kAllowOsProtectedNonextractable}));
}

TEST(DecodeCreateParams, TreatsAnAbsentOrNullPolicyAsHardwareOnly) {
  json params = CreateJson();
  EXPECT_EQ(DecodeCreateParams(params.dump()).protection_policy, ProtectionPolicy::kHardwareOnly);
  params["protectionPolicy"] = nullptr;
  EXPECT_EQ(DecodeCreateParams(params.dump()).protection_policy, ProtectionPolicy::kHardwareOnly);
  params["protectionPolicy"] = "hardware_only";
  EXPECT_EQ(DecodeCreateParams(params.dump()).protection_policy, ProtectionPolicy::kHardwareOnly);
}

TEST(DecodeCreateParams, RefusesAnUnknownPolicy) {
  for (const json& policy :
       {json("HARDWARE_ONLY"), json(""), json(1), json(false), json::array()}) {
    json params = CreateJson();
    params["protectionPolicy"] = policy;
    ExpectError(ErrorCode::kInvalidParams, "protectionPolicy: expected \"hardware_only\"",
                [&] { DecodeCreateParams(params.dump()); });
  }
}

TEST(DecodeCreateParams, NamesTheMemberThatIsMissingOrOfTheWrongType) {
  for (const char* member : {"accountUserId", "clientId"}) {
    for (const json& value : {json(), json(1), json::array({"x"}), json::object()}) {
      json params = CreateJson();
      params[member] = value;
      ExpectError(ErrorCode::kInvalidParams, std::string(member) + ": expected a string",
                  [&] { DecodeCreateParams(params.dump()); });
    }
    json params = CreateJson();
    params.erase(member);
    ExpectError(ErrorCode::kInvalidParams, std::string(member) + ": expected a string",
                [&] { DecodeCreateParams(params.dump()); });
  }
}

TEST(DecodeCreateParams, IgnoresUnknownMembers) {
  json params = CreateJson();
  params["extra"] = {{"nested", {1, 2}}};
  EXPECT_EQ(DecodeCreateParams(params.dump()), DecodeCreateParams(CreateJson().dump()));
}

TEST(Decode, RefusesParamsThatAreNotAnObject) {
  for (const char* text : {"null", "[]", "\"x\"", "1", "true"}) {
    ExpectError(ErrorCode::kInvalidParams, "expected the params",
                [&] { DecodeCreateParams(text); });
    ExpectError(ErrorCode::kInvalidParams, "expected the params",
                [&] { DecodePublicParams(text); });
    ExpectError(ErrorCode::kInvalidParams, "expected the params", [&] { DecodeSignParams(text); });
  }
}

TEST(DecodePublicParams, ReadsTheKeyId) {
  EXPECT_EQ(DecodePublicParams(json{{"keyId", kKeyId}}.dump()).key_id, KeyId::Parse(kKeyId));
}

TEST(DecodePublicParams, RefusesAnInvalidKeyId) {
  for (const json& params : {json::object(), json{{"keyId", nullptr}}, json{{"keyId", "dk_tpm_x"}},
                             json{{"keyId", "../../etc/passwd"}}}) {
    ExpectError(ErrorCode::kInvalidParams, "keyId: expected",
                [&] { DecodePublicParams(params.dump()); });
  }
}

TEST(DecodeSignParams, AcceptsAConnectionPayload) {
  const SignParams params = DecodeSignParams(SignJson(ConnectionJson()).dump());
  EXPECT_EQ(params.key_id, KeyId::Parse(kKeyId));
  EXPECT_EQ(params.payload, SignPayload(GoodConnection()));
}

TEST(DecodeSignParams, AcceptsAnEnrollmentPayload) {
  const SignParams params = DecodeSignParams(SignJson(EnrollmentJson()).dump());
  EXPECT_EQ(params.payload, SignPayload(GoodEnrollment()));
}

TEST(DecodeSignParams, IgnoresUnknownMembers) {
  json payload = ConnectionJson();
  payload["challengeExpiresAt"] = "of the other type of payload";
  json params = SignJson(payload);
  params["extra"] = 1;
  EXPECT_EQ(DecodeSignParams(params.dump()).payload, SignPayload(GoodConnection()));
}

TEST(DecodeSignParams, ReportsMembersOutsideThePayloadAsInvalidParams) {
  for (const json& payload : {json(), json("x"), json::array()}) {
    ExpectError(ErrorCode::kInvalidParams, "payload: expected an object",
                [&] { DecodeSignParams(SignJson(payload).dump()); });
  }
  ExpectError(ErrorCode::kInvalidParams, "payload: expected an object", [&] {
    DecodeSignParams(json{{"keyId", kKeyId}}.dump());
  });
  ExpectError(ErrorCode::kInvalidParams, "keyId: expected a string", [&] {
    DecodeSignParams(json{{"payload", ConnectionJson()}}.dump());
  });
}

TEST(DecodeSignParams, RefusesAnUnknownTypeOfPayload) {
  for (const json& type : {json(), json("arbitraryBytes"), json("remotecontrolclientconnection"),
                           json(0), json::array({"remoteControlClientConnection"})}) {
    ExpectPayloadRefused(ConnectionJson(), "payload.type: expected \"remoteControlClient",
                         [&](json& payload) { payload["type"] = type; });
  }
  ExpectPayloadRefused(ConnectionJson(), "payload.type: expected",
                       [](json& payload) { payload.erase("type"); });
}

TEST(DecodeSignParams, RefusesTheAudienceOfTheOtherType) {
  ExpectPayloadRefused(ConnectionJson(),
                       "payload.audience: expected \"remote_control_client_websocket\"",
                       [](json& payload) { payload["audience"] = EnrollmentPayload::kAudience; });
  ExpectPayloadRefused(EnrollmentJson(),
                       "payload.audience: expected \"remote_control_client_enrollment\"",
                       [](json& payload) { payload["audience"] = ConnectionPayload::kAudience; });
}

TEST(DecodeSignParams, NamesTheMemberThatIsMissingOrOfTheWrongType) {
  for (const json& good : {ConnectionJson(), EnrollmentJson()}) {
    for (const auto& [name, value] : good.items()) {
      const std::string member = name;
      ExpectPayloadRefused(good, "payload." + member + ": expected",
                           [&](json& payload) { payload.erase(member); });
      for (const json& wrong : {json(), json(false), json::object(), json(0.5)}) {
        ExpectPayloadRefused(good, "payload." + member + ": expected",
                             [&](json& payload) { payload[member] = wrong; });
      }
    }
  }
}

TEST(DecodeSignParams, RefusesScopesThatAreNotAllStrings) {
  for (const json& scopes : {json("remote_control_controller_websocket"), json::array({"x", 1}),
                             json::array({nullptr}), json{{"0", "x"}}}) {
    ExpectPayloadRefused(ConnectionJson(), "payload.scopes: expected an array of strings",
                         [&](json& payload) { payload["scopes"] = scopes; });
  }
}

// Text, because nlohmann/json would write the numbers in another notation.
SignPayload DecodeWithExpiry(const std::string& number) {
  std::string text = SignJson(ConnectionJson()).dump();
  const std::string written = std::to_string(kNow + 60);
  text.replace(text.find(written), written.size(), number);
  return DecodeSignParams(text).payload;
}

TEST(DecodeSignParams, AcceptsAnExpiryInAnyNotationOfAnInteger) {
  for (const char* number : {"1800000060", "1800000060.0", "180000006e1", "18000000600e-1"}) {
    EXPECT_EQ(DecodeWithExpiry(number), SignPayload(GoodConnection())) << number;
  }
}

TEST(DecodeSignParams, RefusesAnExpiryThatIsNoInt64) {
  for (const char* number : {"1800000060.5", "9223372036854775808", "1e19", "\"1800000060\""}) {
    ExpectError(ErrorCode::kInvalidPayload,
                "payload.tokenExpiresAt: expected an integer of Unix seconds (int64)",
                [&] { DecodeWithExpiry(number); });
  }
}

// DPoP.

json DpopJson() { return {{"keyId", kKeyId}, {"htm", "POST"}, {"htu", "https://a.example/token"}}; }

TEST(DecodeSignDpopParams, AcceptsTheRequiredMembersAlone) {
  const SignDpopParams params = DecodeSignDpopParams(DpopJson().dump());

  EXPECT_EQ(params.key_id.str(), kKeyId);
  EXPECT_EQ(params.claims.htm, "POST");
  EXPECT_EQ(params.claims.htu, "https://a.example/token");
  EXPECT_FALSE(params.claims.nonce || params.claims.ath || params.claims.jti);
}

// RFC 9449, figures 12 and 13: the access token and its `ath`.
TEST(DecodeSignDpopParams, KeepsOnlyTheDigestOfTheAccessToken) {
  json params = DpopJson();
  params["accessToken"] = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

  EXPECT_EQ(DecodeSignDpopParams(params.dump()).claims.ath,
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

TEST(DecodeSignDpopParams, AcceptsTheDigestOfATokenThatTheCallerDoesNotHave) {
  json params = DpopJson();
  params["accessTokenSha256Base64url"] = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

  EXPECT_EQ(DecodeSignDpopParams(params.dump()).claims.ath,
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

TEST(DecodeSignDpopParams, MakesTheJtiFromAnAuthorizationCode) {
  json params = DpopJson();
  params["authorizationCode"] = "SplxlOBeZQQYbYS6WxSbIA";

  // printf SplxlOBeZQQYbYS6WxSbIA | openssl sha256 -binary | base64 | tr '+/' '-_' | tr -d =
  EXPECT_EQ(DecodeSignDpopParams(params.dump()).claims.jti,
            "o1uBp9eSe3DsmScN0jYriFgKKFdK-BLywC9WRpV5GG8");
}

TEST(DecodeSignDpopParams, NamesTheMemberThatIsWrong) {
  const std::pair<const char*, json> wrong[] = {{"keyId", "dk_tpm_"},
                                                {"htm", nullptr},
                                                {"htu", 1},
                                                {"nonce", nullptr},
                                                {"accessToken", ""},
                                                {"accessToken", "caf\u00e9"},
                                                {"accessToken", 1},
                                                {"authorizationCode", ""},
                                                {"authorizationCode", "a\n"},
                                                {"accessTokenSha256Base64url", nullptr}};
  for (const auto& [member, value] : wrong) {
    json params = DpopJson();
    params[member] = value;
    ExpectError(ErrorCode::kInvalidParams, std::string(member) + ": expected ",
                [&] { DecodeSignDpopParams(params.dump()); });
  }
}

TEST(DecodeSignDpopParams, RefusesATokenAndADigestTogether) {
  json params = DpopJson();
  params["accessToken"] = "token";
  params["accessTokenSha256Base64url"] = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

  ExpectError(ErrorCode::kInvalidParams,
              "accessTokenSha256Base64url: ", [&] { DecodeSignDpopParams(params.dump()); });
}

TEST(DecodeCreateDpopKeyParams, ReadsClientOriginsAndPolicy) {
  const CreateDpopKeyParams params = DecodeCreateDpopKeyParams(
      R"({"clientId":"c","origins":["https://a.example"],"protectionPolicy":"hardware_only"})");

  EXPECT_EQ(params.client_id, "c");
  EXPECT_EQ(params.origins, std::vector<std::string>{"https://a.example"});
  EXPECT_EQ(params.protection_policy, ProtectionPolicy::kHardwareOnly);
}

TEST(DecodeCreateDpopKeyParams, NamesTheMemberThatIsWrong) {
  ExpectError(ErrorCode::kInvalidParams, "clientId: ", [] {
    DecodeCreateDpopKeyParams(R"({"origins":["https://a.example"]})");
  });
  for (const char* origins : {"", R"(,"origins":"https://a.example")", R"(,"origins":[1])"}) {
    ExpectError(ErrorCode::kInvalidParams, "origins: expected an array of strings", [&] {
      DecodeCreateDpopKeyParams(R"({"clientId":"c")" + std::string(origins) + "}");
    });
  }
}

}  // namespace
}  // namespace device_key
