#include "providers/pkcs11/login.h"

#include <gtest/gtest.h>

namespace device_key {
namespace {

constexpr CK_FLAGS kReady = CKF_LOGIN_REQUIRED | CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;

std::optional<ErrorCode> ObstacleCode(CK_FLAGS flags, const PinSource& source) {
  Token token;
  token.identity.label = "card";
  token.flags = flags;
  const auto obstacle = LoginObstacle(token, flags, source);
  if (!obstacle) return std::nullopt;
  EXPECT_NE(std::string(obstacle->what()).find("token=card"), std::string::npos);
  return obstacle->code();
}

PinSource WithPin() {
  PinSource source;
  source.value = "1234";
  return source;
}

TEST(LoginObstacleTest, NoneWithAPin) { EXPECT_EQ(ObstacleCode(kReady, WithPin()), std::nullopt); }

TEST(LoginObstacleTest, WantsAPin) { EXPECT_EQ(ObstacleCode(kReady, {}), ErrorCode::kPinRequired); }

TEST(LoginObstacleTest, NeedsNoPinWithAPinPad) {
  EXPECT_EQ(ObstacleCode(kReady | CKF_PROTECTED_AUTHENTICATION_PATH, {}), std::nullopt);
}

TEST(LoginObstacleTest, NeedsNoPinWithoutALogin) {
  EXPECT_EQ(ObstacleCode(CKF_TOKEN_INITIALIZED, {}), std::nullopt);
}

TEST(LoginObstacleTest, StopsAtALockedPin) {
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_LOCKED, WithPin()), ErrorCode::kPinLocked);
}

TEST(LoginObstacleTest, LetsAPinBeTriedAfterAWrongOne) {
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_COUNT_LOW, WithPin()), std::nullopt);
}

TEST(LoginObstacleTest, StopsBeforeTheLastTryUnlessAskedFor) {
  PinSource source = WithPin();
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_FINAL_TRY, source), ErrorCode::kPinLocked);
  source.allow_final_try = true;
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_FINAL_TRY, source), std::nullopt);
}

TEST(RefusedPinsTest, AreRememberedForTheirTokenAlone) {
  RefusedPins refused;
  const TokenIdentity card{.label = "card", .manufacturer = "", .model = "", .serial = "1"};
  const TokenIdentity other{.label = "card", .manufacturer = "", .model = "", .serial = "2"};
  refused.Add(card, Pin("1234"));
  EXPECT_TRUE(refused.Contains(card, Pin("1234")));
  EXPECT_FALSE(refused.Contains(card, Pin("12345")));
  EXPECT_FALSE(refused.Contains(other, Pin("1234")));
}

TEST(PinPromptTest, GivesQuestionAndAnswerOnce) {
  PinPrompt prompt;
  prompt.Ask({{"label", "card"}});
  prompt.Answer("1234");
  EXPECT_EQ(prompt.TakeQuestion()["label"], "card");
  EXPECT_TRUE(prompt.TakeQuestion().is_null());
  EXPECT_EQ(prompt.TakeAnswer()->text(), "1234");
  EXPECT_FALSE(prompt.TakeAnswer().has_value());
}

}  // namespace
}  // namespace device_key
