#include "protocol/rules.h"

#include <gtest/gtest.h>

#include "crypto/base64.h"
#include "protocol/expect_error.h"
#include "protocol/payloads.h"

namespace device_key {
namespace {

void Check(const SignPayload& payload, int64_t now = kNow) {
  CheckSignPayload(payload, TargetPolicy::Default(), now);
}

void ExpectRefused(const SignPayload& payload, const std::string& beginning, int64_t now = kNow) {
  ExpectError(ErrorCode::kInvalidPayload, beginning, [&] { Check(payload, now); });
}

// Makes the same change to a payload of each type.
template <typename Change>
void ExpectBothRefused(const std::string& beginning, Change change) {
  ConnectionPayload connection = GoodConnection();
  change(connection);
  ExpectRefused(connection, beginning);
  EnrollmentPayload enrollment = GoodEnrollment();
  change(enrollment);
  ExpectRefused(enrollment, beginning);
}

std::string Base64UrlOf(size_t bytes) { return Base64UrlEncode(Bytes(bytes, 0xab)); }

TEST(CheckCreateParams, AcceptsNonEmptyIds) {
  EXPECT_NO_THROW(CheckCreateParams({.account_user_id = "a", .client_id = "c"}));
}

TEST(CheckCreateParams, RefusesEmptyIdsAndIdsWithANul) {
  for (const std::string& bad : {std::string(), std::string("a\0b", 3), std::string(1, '\0')}) {
    ExpectError(ErrorCode::kInvalidParams, "accountUserId: expected",
                [&] { CheckCreateParams({.account_user_id = bad, .client_id = "c"}); });
    ExpectError(ErrorCode::kInvalidParams, "clientId: expected",
                [&] { CheckCreateParams({.account_user_id = "a", .client_id = bad}); });
  }
}

TEST(CheckSignPayload, AcceptsPayloadsThatFollowTheRules) {
  EXPECT_NO_THROW(Check(GoodConnection()));
  EXPECT_NO_THROW(Check(GoodEnrollment()));
}

TEST(CheckSignPayload, RequiresANonceOfAtLeast32Bytes) {
  ConnectionPayload payload = GoodConnection();
  for (const size_t size : {32, 33, 64, 1000}) {
    payload.nonce = Base64UrlOf(size);
    EXPECT_NO_THROW(Check(payload)) << size;
  }
  for (const size_t size : {0, 1, 31}) {
    ExpectBothRefused("payload.nonce: expected at least 32 random bytes",
                      [&](auto& members) { members.nonce = Base64UrlOf(size); });
  }
}

TEST(CheckSignPayload, RequiresTheNonceInCanonicalBase64Url) {
  const std::string good = Base64UrlOf(32);
  for (const std::string& nonce :
       {good + '=', good + '\n', ' ' + good, good.substr(0, 42) + 'B', good.substr(0, 42) + '+'}) {
    ExpectBothRefused("payload.nonce: expected", [&](auto& members) { members.nonce = nonce; });
  }
}

TEST(CheckSignPayload, RequiresDigestsOfExactly32Bytes) {
  for (const std::string& digest :
       {Base64UrlOf(0), Base64UrlOf(31), Base64UrlOf(33), Base64UrlOf(32) + '=',
        Base64UrlOf(32).substr(0, 42) + 'B', std::string(64, 'a')}) {
    ConnectionPayload connection = GoodConnection();
    connection.token_sha256_base64url = digest;
    ExpectRefused(connection, "payload.tokenSha256Base64url: expected a SHA-256 digest");
    EnrollmentPayload enrollment = GoodEnrollment();
    enrollment.device_identity_sha256_base64url = digest;
    ExpectRefused(enrollment, "payload.deviceIdentitySha256Base64url: expected a SHA-256 digest");
  }
}

TEST(CheckSignPayload, RequiresNonEmptyIds) {
  ExpectBothRefused("payload.accountUserId: expected a string that is not empty",
                    [](auto& members) { members.account_user_id = ""; });
  ExpectBothRefused("payload.clientId: expected a string that is not empty",
                    [](auto& members) { members.client_id = ""; });
  ConnectionPayload connection = GoodConnection();
  connection.session_id = "";
  ExpectRefused(connection, "payload.sessionId: expected a string that is not empty");
  EnrollmentPayload enrollment = GoodEnrollment();
  enrollment.challenge_id = "";
  ExpectRefused(enrollment, "payload.challengeId: expected a string that is not empty");
}

TEST(CheckSignPayload, RequiresExactlyTheOneScope) {
  const std::string scope = "remote_control_controller_websocket";
  for (const std::vector<std::string>& scopes : std::vector<std::vector<std::string>>{
           {}, {""}, {"other"}, {scope, scope}, {scope, "other"}, {scope + ' '}}) {
    ConnectionPayload payload = GoodConnection();
    payload.scopes = scopes;
    ExpectRefused(payload, "payload.scopes: expected exactly [\"" + scope + "\"]");
  }
}

TEST(CheckSignPayload, AcceptsOnlyThePathsOfItsType) {
  for (const char* path : {"/api/codex/remote/control/client", "/wham/remote/control/client"}) {
    const std::string enroll = std::string(path) + "/enroll";
    ConnectionPayload connection = GoodConnection();
    connection.target_path = path;
    EXPECT_NO_THROW(Check(connection));
    connection.target_path = enroll;
    ExpectRefused(connection, "payload.targetPath: expected");

    EnrollmentPayload enrollment = GoodEnrollment();
    enrollment.target_path = enroll;
    EXPECT_NO_THROW(Check(enrollment));
    enrollment.target_path = path;
    ExpectRefused(enrollment, "payload.targetPath: expected");
  }
}

TEST(CheckSignPayload, RefusesOtherSpellingsOfAPath) {
  for (const char* path :
       {"", "/", "/api/codex/remote/control/client/", "/api/codex/remote/control/client?x",
        "/api/codex/remote/control/clien%74", "//api/codex/remote/control/client",
        "/x/../api/codex/remote/control/client", "/API/codex/remote/control/client"}) {
    ConnectionPayload payload = GoodConnection();
    payload.target_path = path;
    ExpectRefused(payload, "payload.targetPath: expected");
  }
}

TEST(CheckSignPayload, RefusesAnOriginThatIsNotCanonical) {
  for (const char* origin :
       {" https://chatgpt.com", "https://user:pw@chatgpt.com", "https:chatgpt.com",
        "http://2130706433", "https://ｃｈａｔｇｐｔ.com", "https://chatgpt.com/",
        "https://chatgpt.com:443", "https://CHATGPT.com", ""}) {
    ExpectBothRefused("payload.targetOrigin: expected an origin in its canonical form",
                      [&](auto& members) { members.target_origin = origin; });
  }
}

TEST(CheckSignPayload, RefusesAnOriginThatThePolicyDoesNotAllow) {
  for (const char* origin : {"http://chatgpt.com", "https://chatgpt.com.evil.org"}) {
    ExpectBothRefused("payload.targetOrigin: expected an origin that the target policy allows",
                      [&](auto& members) { members.target_origin = origin; });
  }
}

TEST(CheckSignPayload, AcceptsAnExpiryFromOneSecondToTheMaximumLifetime) {
  ConnectionPayload connection = GoodConnection();
  EnrollmentPayload enrollment = GoodEnrollment();
  for (const int64_t ahead : {1, 900}) {
    connection.token_expires_at = enrollment.challenge_expires_at = kNow + ahead;
    EXPECT_NO_THROW(Check(connection));
    EXPECT_NO_THROW(Check(enrollment));
  }
  for (const int64_t ahead : {0, -1, 901}) {
    connection.token_expires_at = enrollment.challenge_expires_at = kNow + ahead;
    ExpectRefused(connection, "payload.tokenExpiresAt: expected a time");
    ExpectRefused(enrollment, "payload.challengeExpiresAt: expected a time");
  }
}

TEST(CheckSignPayload, SurvivesTheExtremesOfInt64) {
  ConnectionPayload payload = GoodConnection();
  payload.token_expires_at = INT64_MAX;
  ExpectRefused(payload, "payload.tokenExpiresAt: expected a time (Unix seconds) at most 900");
  ExpectRefused(payload, "payload.tokenExpiresAt: expected a time (Unix seconds) at most 900",
                INT64_MIN);
  payload.token_expires_at = INT64_MIN;
  ExpectRefused(payload, "payload.tokenExpiresAt: expected a time in the future");
}

TEST(CheckSignPayload, ObeysTheGivenPolicy) {
  TargetPolicy policy;
  policy.https_hosts = {"example.org"};
  policy.connection_paths = {"/connect"};
  policy.max_lifetime_seconds = 10'000;
  ConnectionPayload payload = GoodConnection();
  payload.target_origin = "https://example.org";
  payload.target_path = "/connect";
  payload.token_expires_at = kNow + 10'000;
  EXPECT_NO_THROW(CheckSignPayload(payload, policy, kNow));
  payload.token_expires_at = kNow + 10'001;
  ExpectError(ErrorCode::kInvalidPayload,
              "payload.tokenExpiresAt: expected a time (Unix seconds) at most 10000 seconds ahead",
              [&] { CheckSignPayload(payload, policy, kNow); });
}

TEST(CheckSignPayload, DoesNotQuoteValuesInMessages) {
  ConnectionPayload payload = GoodConnection();
  payload.target_origin = "https://secret.example.org";
  try {
    Check(payload);
    FAIL() << "nothing was thrown";
  } catch (const DeviceKeyError& error) {
    EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("secret")));
  }
}

TEST(CheckNotExpired, RefusesFromTheSecondOfTheExpiry) {
  for (const SignPayload& payload :
       {SignPayload(GoodConnection()), SignPayload(GoodEnrollment())}) {
    EXPECT_NO_THROW(CheckNotExpired(payload, kNow + 59));
    EXPECT_NO_THROW(CheckNotExpired(payload, kNow - 10'000));
    for (const int64_t now : {kNow + 60, kNow + 61}) {
      ExpectError(ErrorCode::kInvalidPayload, "payload.", [&] { CheckNotExpired(payload, now); });
    }
  }
}

TEST(CheckPayloadBinding, AcceptsOnlyTheAccountAndClientOfTheKey) {
  for (const SignPayload& payload :
       {SignPayload(GoodConnection()), SignPayload(GoodEnrollment())}) {
    EXPECT_NO_THROW(CheckPayloadBinding(payload, "user-7f3a", "cli_42"));
    ExpectError(ErrorCode::kBindingMismatch, "payload.accountUserId: expected",
                [&] { CheckPayloadBinding(payload, "user-other", "cli_42"); });
    ExpectError(ErrorCode::kBindingMismatch, "payload.clientId: expected",
                [&] { CheckPayloadBinding(payload, "user-7f3a", "cli_4"); });
  }
}

}  // namespace
}  // namespace device_key
