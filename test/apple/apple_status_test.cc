#include "providers/apple/apple_status.h"

#include <gmock/gmock.h>

#include "apple_fixture.h"
#include "providers/apple/secure_enclave_provider.h"

namespace device_key {
namespace {

struct StatusCase {
  stand_in::Answer answer;
  ErrorCode code;
};

void PrintTo(const StatusCase& c, std::ostream* out) {
  *out << c.answer.domain << " " << c.answer.code;
}

class SigningErrorTest : public AppleTest, public testing::WithParamInterface<StatusCase> {};

TEST_P(SigningErrorTest, HasACodeTheRawStatusAndTheAttempt) {
  SecureEnclaveProvider provider(UserPresence{.required = true});
  const KeyId id = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
  const ProviderKey key = Create(provider, id);
  stand_in::Answers("SecKeyCreateSignature", {GetParam().answer});

  const DeviceKeyError error = ErrorOf([&] { Sign(provider, id, key.handle); });
  EXPECT_EQ(error.code(), GetParam().code) << error.what();
  EXPECT_EQ(error.platform_status(), static_cast<uint32_t>(GetParam().answer.code));
  EXPECT_THAT(error.what(), testing::HasSubstr("sign with the key"));
}

constexpr char kAuthentication[] = "com.apple.LocalAuthentication";
constexpr char kToken[] = "CryptoTokenKit";

INSTANTIATE_TEST_SUITE_P(
    Apple, SigningErrorTest,
    testing::Values(StatusCase{{errSecUserCanceled}, ErrorCode::kUserCanceled},
                    StatusCase{{errSecAuthFailed}, ErrorCode::kUserPresenceRequired},
                    StatusCase{{errSecInteractionNotAllowed}, ErrorCode::kSessionLocked},
                    StatusCase{{errSecInteractionRequired}, ErrorCode::kSessionLocked},
                    StatusCase{{errSecNotAvailable}, ErrorCode::kSessionLocked},
                    StatusCase{{errSecInDarkWake}, ErrorCode::kSessionLocked},
                    StatusCase{{errSecMissingEntitlement}, ErrorCode::kMissingEntitlement},
                    StatusCase{{errSecItemNotFound}, ErrorCode::kKeyLost},
                    StatusCase{{errSecInvalidKeyBlob}, ErrorCode::kKeyLost},
                    StatusCase{{errSecUnimplemented}, ErrorCode::kHardwareUnavailable},
                    StatusCase{{errSecNoDefaultKeychain}, ErrorCode::kSessionLocked},
                    StatusCase{{errSecDecode}, ErrorCode::kPlatformError},
                    StatusCase{{errSecDiskFull}, ErrorCode::kStoreUnwritable},
                    StatusCase{{-99999}, ErrorCode::kPlatformError},
                    StatusCase{{-2, kAuthentication}, ErrorCode::kUserCanceled},
                    StatusCase{{-4, kAuthentication}, ErrorCode::kUserCanceled},
                    StatusCase{{-1, kAuthentication}, ErrorCode::kUserPresenceRequired},
                    StatusCase{{-7, kAuthentication}, ErrorCode::kUserPresenceRequired},
                    StatusCase{{-8, kAuthentication}, ErrorCode::kUserPresenceRequired},
                    StatusCase{{-1004, kAuthentication}, ErrorCode::kSessionLocked},
                    StatusCase{{-77, kAuthentication}, ErrorCode::kPlatformError},
                    StatusCase{{-2, kToken}, ErrorCode::kDeviceBusy},
                    StatusCase{{-3, kToken}, ErrorCode::kPlatformError},
                    StatusCase{{-3, kToken, -536870174}, ErrorCode::kSessionLocked},
                    StatusCase{{-3, kToken, -536362989}, ErrorCode::kPlatformError},
                    StatusCase{{-4, kToken}, ErrorCode::kUserCanceled},
                    StatusCase{{-7, kToken}, ErrorCode::kHardwareUnavailable},
                    StatusCase{{-9, kToken}, ErrorCode::kUserPresenceRequired},
                    StatusCase{{-77, kToken}, ErrorCode::kPlatformError},
                    StatusCase{{-1, "elsewhere"}, ErrorCode::kPlatformError}));

TEST_F(AppleTest, TheMissingEntitlementIsExplainedForElectron) {
  EXPECT_THAT(AppleError("try", OSStatus{errSecMissingEntitlement}).what(),
              testing::AllOf(testing::HasSubstr("-34018"), testing::HasSubstr("Electron"),
                             testing::HasSubstr("provisioning profile")));
}

TEST_F(AppleTest, TheEnclavesOwnErrorIsPartOfTheMessage) {
  SecureEnclaveProvider provider(UserPresence{});
  const KeyId id = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
  const ProviderKey key = Create(provider, id);
  stand_in::Answers("SecKeyCreateSignature", {{-3, kToken, -536362989}});

  EXPECT_THAT(ErrorOf([&] { Sign(provider, id, key.handle); }).what(),
              testing::HasSubstr("CryptoTokenKit, enclave -536362989"));
}

TEST_F(AppleTest, AFailureWithoutAReasonIsStillAnError) {
  EXPECT_EQ(AppleError("try", CFErrorRef{nullptr}).code(), ErrorCode::kPlatformError);
}

}  // namespace
}  // namespace device_key
