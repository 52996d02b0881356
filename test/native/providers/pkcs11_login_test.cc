#include "providers/pkcs11/login.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "platform/expect_error.h"
#include "platform/temporary_directory.h"

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

TEST(LoginObstacleTest, RequiresAPin) {
  EXPECT_EQ(ObstacleCode(kReady, {}), ErrorCode::kPinRequired);
}

TEST(LoginObstacleTest, NeedsNoPinWithAPinPad) {
  EXPECT_EQ(ObstacleCode(kReady | CKF_PROTECTED_AUTHENTICATION_PATH, {}), std::nullopt);
}

TEST(LoginObstacleTest, NeedsNoPinWithoutALogin) {
  EXPECT_EQ(ObstacleCode(CKF_TOKEN_INITIALIZED, {}), std::nullopt);
}

TEST(LoginObstacleTest, StopsAtALockedPin) {
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_LOCKED, WithPin()), ErrorCode::kPinLocked);
}

TEST(LoginObstacleTest, AllowsAPinAfterAWrongOne) {
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_COUNT_LOW, WithPin()), std::nullopt);
}

TEST(LoginObstacleTest, StopsBeforeTheLastTryUnlessItIsAllowed) {
  PinSource source = WithPin();
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_FINAL_TRY, source), ErrorCode::kPinLocked);
  source.allow_final_try = true;
  EXPECT_EQ(ObstacleCode(kReady | CKF_USER_PIN_FINAL_TRY, source), std::nullopt);
}

TEST(RefusedPinsTest, AreRememberedOnlyForTheirToken) {
  RefusedPins refused;
  const TokenIdentity card{.label = "card", .manufacturer = "", .model = "", .serial = "1"};
  const TokenIdentity other{.label = "card", .manufacturer = "", .model = "", .serial = "2"};
  refused.Add(card, Pin("1234"));
  EXPECT_TRUE(refused.Contains(card, Pin("1234")));
  EXPECT_FALSE(refused.Contains(card, Pin("12345")));
  EXPECT_FALSE(refused.Contains(other, Pin("1234")));
}

TEST(PinPromptTest, ReturnsQuestionAndAnswerOnce) {
  PinPrompt prompt;
  prompt.Ask({{"uri", "pkcs11:token=card"}});
  EXPECT_EQ(prompt.TakeQuestion()["uri"], "pkcs11:token=card");
  EXPECT_TRUE(prompt.TakeQuestion().is_null());
  prompt.Answer(Pin("1234"));
  EXPECT_EQ(prompt.TakeAnswer("pkcs11:token=card")->text(), "1234");
  EXPECT_FALSE(prompt.TakeAnswer("pkcs11:token=card").has_value());
}

TEST(PinPromptTest, AnAnswerAlsoServesALaterQuestionAboutTheSameToken) {
  PinPrompt prompt;
  prompt.Ask({{"uri", "pkcs11:token=card"}});
  prompt.TakeQuestion();
  prompt.Ask({{"uri", "pkcs11:token=card"}});
  prompt.Answer(Pin("1234"));
  EXPECT_EQ(prompt.TakeQuestion(), nullptr);
}

TEST(PinPromptTest, ReturnsAnAnswerOnlyForTheTokenOfItsQuestion) {
  PinPrompt prompt;
  prompt.Ask({{"uri", "pkcs11:token=card"}});
  prompt.TakeQuestion();
  prompt.Ask({{"uri", "pkcs11:token=other"}});  // while the first is being answered
  prompt.Answer(Pin("1234"));
  EXPECT_FALSE(prompt.TakeAnswer("pkcs11:token=other").has_value());
  prompt.TakeQuestion();
  prompt.Answer(Pin("5678"));  // before the first has been taken
  EXPECT_EQ(prompt.TakeAnswer("pkcs11:token=card")->text(), "1234");
  EXPECT_EQ(prompt.TakeAnswer("pkcs11:token=other")->text(), "5678");
}

class PinFileTest : public ::testing::Test {
 protected:
  void ExpectUnusable(const std::string& reason) const {
    PinSource source;
    source.file = path_;
    ExpectError(
        ErrorCode::kPinRequired, [&] { source.Take(""); }, reason);
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "pin";
};

TEST_F(PinFileTest, HoldsThePinAndAtMostANewline) {
  std::ofstream(path_) << "12 34\n\n";
  PinSource source;
  source.file = path_;
  EXPECT_EQ(source.Take("")->text(), "12 34\n");
}

TEST_F(PinFileTest, MustExist) { ExpectUnusable("No such file"); }

TEST_F(PinFileTest, MustBeARegularFile) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);  // reading it would wait for somebody to write
  ExpectUnusable("not a regular file");
}

TEST_F(PinFileTest, MustNotBeEmpty) {
  std::ofstream(path_) << "\n";
  ExpectUnusable("empty");
}

TEST_F(PinFileTest, MustBeShort) {
  std::ofstream(path_) << std::string(100'000, '1');
  ExpectUnusable("too long");
}

}  // namespace
}  // namespace device_key
