// TPM responses that were changed in transit, or that ask to resubmit the command.
#include <gtest/gtest.h>

#include "providers/tpm2_fixture.h"
#include "support/tpm_proxy.h"

namespace device_key {
namespace {

class Tpm2AnswersTest : public Tpm2Test {
 protected:
  TpmProxy proxy_{tpm_.socket_path()};
  std::unique_ptr<Tpm2Provider> provider_ = ProviderAt(proxy_.tcti());
};

// Offsets in the response of TPM2_Create: header, size of the parameters, private area, public
// area.
constexpr size_t kInPrivateArea = 10 + 4 + 2 + 20;
constexpr size_t kInPublicPoint = 10 + 4 + 2 + 0x7E + 2 + 30;

class ChangedCreateAnswerTest : public Tpm2AnswersTest,
                                public ::testing::WithParamInterface<size_t> {};

// A key that cannot be loaded is refused immediately, not after the first restart.
TEST_P(ChangedCreateAnswerTest, IsRefused) {
  proxy_.Inject(faults::FlipBits(GetParam(), 1), {.command = TPM2_CC_Create});

  ExpectError(
      ErrorCode::kPlatformError, [&] { CreateKey(*provider_); }, "changed on the way");
}

INSTANTIATE_TEST_SUITE_P(Areas, ChangedCreateAnswerTest,
                         ::testing::Values(kInPrivateArea, kInPublicPoint));

TEST_F(Tpm2AnswersTest, AKeyThatIsLoadedUnderAnotherNameIsRefused) {
  const size_t in_name =
      10 + 4 + 4 + 2 + 10;  // header, handle, size of the parameters and the name
  proxy_.Inject(faults::FlipBits(in_name, 1), {.command = TPM2_CC_Load});

  ExpectError(ErrorCode::kHardwareUnavailable, [&] { CreateKey(*provider_); });
}

TEST_F(Tpm2AnswersTest, AParentThatIsDerivedUnderAnotherNameIsRefused) {
  // The name is at the end, before the five bytes of the password session.
  proxy_.Inject(faults::Change([](Bytes& response) { response[response.size() - 10] ^= 1; }),
                {.command = TPM2_CC_CreatePrimary});

  ExpectError(ErrorCode::kHardwareUnavailable, [&] { CreateKey(*provider_); });
}

class ResubmittedCommandTest : public Tpm2AnswersTest,
                               public ::testing::WithParamInterface<TPM2_RC> {};

TEST_P(ResubmittedCommandTest, Succeeds) {
  proxy_.Inject(faults::Refuse(GetParam()), {.command = TPM2_CC_Create, .times = 2});

  EXPECT_NO_THROW(CreateKey(*provider_));
  EXPECT_EQ(proxy_.Commands(TPM2_CC_Create).size(), 3u);
}

TEST_P(ResubmittedCommandTest, FindsABusyTpmWhenEachSubmissionIsRefused) {
  proxy_.Inject(faults::Refuse(GetParam()), {.command = TPM2_CC_Create});

  ExpectError(
      ErrorCode::kDeviceBusy, [&] { CreateKey(*provider_); }, "try again");
  EXPECT_EQ(proxy_.Commands(TPM2_CC_Create).size(), 5u);
}

INSTANTIATE_TEST_SUITE_P(Codes, ResubmittedCommandTest,
                         ::testing::Values(TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_TESTING));

TEST_F(Tpm2AnswersTest, NoSessionIsEverStarted) {
  const TestKey key = CreateKey(*provider_, {});
  provider_->Bind(key.id, key.key.handle, key.auth(), AuthValue{}, Soon());

  EXPECT_TRUE(proxy_.Commands(TPM2_CC_StartAuthSession).empty());
}

}  // namespace
}  // namespace device_key
