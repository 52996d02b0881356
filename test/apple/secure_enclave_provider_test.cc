#include "providers/apple/secure_enclave_provider.h"

#include <gmock/gmock.h>

#include "apple_fixture.h"
#include "platform/interrupt.h"

namespace device_key {
namespace {

using stand_in::Answers;
using stand_in::Change;
using stand_in::KeychainTags;
using stand_in::Mac;

constexpr char kToken[] = "CryptoTokenKit";

class SecureEnclaveTest : public AppleTest {
 protected:
  const KeyId id_ = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
  SecureEnclaveProvider provider_{UserPresence{}};
};

TEST_F(SecureEnclaveTest, KeepsKeysInTheKeychainOfAnEntitledHost) {
  const ProviderKey key = Create(provider_, id_);

  EXPECT_EQ(key.handle["home"], "keychain");
  EXPECT_EQ(KeychainTags(), std::vector<std::string>{id_.str()});
  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(SecureEnclaveTest, KeepsKeysInTheRecordOfAHostWithoutTheEntitlement) {
  Change([](Mac& mac) { mac.entitled = false; });
  const ProviderKey key = Create(provider_, id_);

  EXPECT_EQ(key.handle["home"], "record");
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(SecureEnclaveTest, UsesTheRecordWhenOnlyTheCreationNeedsTheEntitlement) {
  Answers("SecKeyCreateRandomKey", {{errSecMissingEntitlement}});

  EXPECT_EQ(Create(provider_, id_).handle["home"], "record");
}

TEST_F(SecureEnclaveTest, NeverMovesAKey) {
  Change([](Mac& mac) { mac.entitled = false; });
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.entitled = true; });

  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, ReportsTheMissingEntitlementWhereMacosDoesNotReturnWrappedKeys) {
  Change([](Mac& mac) {
    mac.entitled = false;
    mac.gives_wrapped = false;
  });

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kMissingEntitlement);
}

TEST_F(SecureEnclaveTest, IsUnavailableOnAMacWithoutAnEnclave) {
  Change([](Mac& mac) { mac.has_enclave = false; });

  const Availability availability = provider_.Probe(NoHurry());
  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kHardwareUnavailable);
}

TEST_F(SecureEnclaveTest, ReportsNoEnclaveForAParameterError) {
  Answers("SecKeyCreateRandomKey", {{errSecParam}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kHardwareUnavailable);
}

TEST_F(SecureEnclaveTest, ReportsATokenErrorAtCreationWithoutBlamingAStoredKey) {
  Answers("SecKeyCreateRandomKey", {{-3, kToken, -536362989}});

  const DeviceKeyError error = ErrorOf([&] { Create(provider_, id_); });
  EXPECT_EQ(error.code(), ErrorCode::kPlatformError);
  EXPECT_EQ(error.platform_status(), static_cast<uint32_t>(errSecDecode));
  EXPECT_THAT(error.what(),
              testing::AllOf(testing::HasSubstr("could not make a key: macOS answered -26275"),
                             testing::HasSubstr("CryptoTokenKit -3, enclave -536362989"),
                             testing::Not(testing::HasSubstr("nroll again"))));
}

TEST_F(SecureEnclaveTest, FindsTheLockedSessionBelowTheErrorOfACreation) {
  Answers("SecKeyCreateRandomKey", {{-3, kToken, -536870174}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kSessionLocked);
}

TEST_F(SecureEnclaveTest, FindsABusyTokenBelowTheErrorOfACreation) {
  Answers("SecKeyCreateRandomKey", {{-2, kToken}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kDeviceBusy);
}

TEST_F(SecureEnclaveTest, ProbeNamesTheHomeAndLeavesNoKey) {
  EXPECT_EQ(provider_.Probe(NoHurry()).details["home"], "keychain");
  EXPECT_TRUE(KeychainTags().empty());

  Change([](Mac& mac) { mac.entitled = false; });
  EXPECT_EQ(provider_.Probe(NoHurry()).details["home"], "record");
}

TEST_F(SecureEnclaveTest, ProbeNeverAsksAPerson) {
  SecureEnclaveProvider provider(UserPresence{.required = true});
  EXPECT_TRUE(provider.Probe(NoHurry()).available());

  EXPECT_EQ(stand_in::CreatedFlags(),
            std::vector<SecAccessControlCreateFlags>{kSecAccessControlPrivateKeyUsage});
}

TEST_F(SecureEnclaveTest, UserPresenceIsPartOfTheAccessControlInBothHomes) {
  SecureEnclaveProvider provider(UserPresence{.required = true});
  Create(provider, id_);
  Change([](Mac& mac) { mac.entitled = false; });
  Create(provider, id_);

  for (const auto flags : stand_in::CreatedFlags()) {
    EXPECT_EQ(flags, kSecAccessControlPrivateKeyUsage | kSecAccessControlUserPresence);
  }
  EXPECT_EQ(stand_in::CreatedFlags().size(), 2u);
}

TEST_F(SecureEnclaveTest, OnlyAnExplicitNotFoundLeadsToCreation) {
  Answers("SecItemCopyMatching", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kSessionLocked);
  EXPECT_EQ(stand_in::Calls("SecKeyCreateRandomKey"), 0u);
}

TEST_F(SecureEnclaveTest, DiscardsAKeyThatIsNotInTheEnclave) {
  Change([](Mac& mac) { mac.ignores_token = true; });

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kHardwareUnavailable);
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, DiscardsAKeyThatCanBeExported) {
  Change([](Mac& mac) { mac.exports_keys = true; });

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kCryptoError);
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, DiscardsAKeyWhosePublicHalfCannotBeRead) {
  Answers("SecKeyCopyPublicKey", {{-1}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kPlatformError);
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, DiscardsAKeyWhoseAttributesCannotBeRead) {
  Answers("SecKeyCopyAttributes", {{-1}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kPlatformError);
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, ReportsAPublicKeyThatCannotBeExported) {
  // The first call exports the private key, which is always refused.
  Answers("SecKeyCopyExternalRepresentation", {{0}, {errSecDecode}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kPlatformError);
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, ReportsAnAccessControlThatCannotBeMade) {
  Answers("SecAccessControlCreateWithFlags", {{errSecParam}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).platform_status(),
            static_cast<uint32_t>(errSecParam));
}

TEST_F(SecureEnclaveTest, AKeyThatIsGoneFromTheKeychainIsLost) {
  const ProviderKey key = Create(provider_, id_);
  provider_.Delete(id_, key.handle, NoHurry());

  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(), ErrorCode::kKeyLost);
}

TEST_F(SecureEnclaveTest, AKeychainKeyIsNotLostWhereTheHostLacksTheEntitlement) {
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.entitled = false; });

  const DeviceKeyError error = ErrorOf([&] { Sign(provider_, id_, key.handle); });
  EXPECT_EQ(error.code(), ErrorCode::kMissingEntitlement);
  EXPECT_EQ(error.platform_status(), static_cast<uint32_t>(errSecMissingEntitlement));
  Change([](Mac& mac) { mac.entitled = true; });
  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(SecureEnclaveTest, ARecordFromAnotherMacIsLost) {
  Change([](Mac& mac) { mac.entitled = false; });
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.serial = "mac-2"; });

  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(), ErrorCode::kKeyLost);
}

TEST_F(SecureEnclaveTest, NeverSignsWithANewKeyThatMacosMadeInsteadOfOpeningTheStoredOne) {
  Change([](Mac& mac) { mac.entitled = false; });
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.mints_on_open = true; });

  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(), ErrorCode::kKeyLost);
  EXPECT_EQ(stand_in::Calls("SecKeyCreateSignature"), 0u);
}

TEST_F(SecureEnclaveTest, RefusesAWrappedKeyThatCannotBeOpenedAgain) {
  Change([](Mac& mac) {
    mac.entitled = false;
    mac.mints_on_open = true;
  });

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kPlatformError);
}

TEST_F(SecureEnclaveTest, ReturnsAWrongSignatureThatItsCallerDetects) {
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.signs_wrongly = true; });

  EXPECT_FALSE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(SecureEnclaveTest, DeletingAKeychainKeyTwiceSucceeds) {
  const ProviderKey key = Create(provider_, id_);
  provider_.Delete(id_, key.handle, NoHurry());
  provider_.Delete(id_, key.handle, NoHurry());

  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, ReportsAFailedDeletion) {
  const ProviderKey key = Create(provider_, id_);
  Answers("SecItemDelete", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(ErrorOf([&] { provider_.Delete(id_, key.handle, NoHurry()); }).code(),
            ErrorCode::kSessionLocked);
}

TEST_F(SecureEnclaveTest, DeletesAKeyThatWasAnnouncedAndNeverRecorded) {
  Create(provider_, id_);
  provider_.Delete(id_, nullptr, NoHurry());

  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, DoesNotTreatAMissingEntitlementAsTheAbsenceOfAnAnnouncedKey) {
  Change([](Mac& mac) { mac.entitled = false; });

  EXPECT_EQ(ErrorOf([&] { provider_.Delete(id_, nullptr, NoHurry()); }).code(),
            ErrorCode::kMissingEntitlement);
}

TEST_F(SecureEnclaveTest, ASearchWithAnUnusableResultIsNotTreatedAsAbsence) {
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.finds_something_else = true; });

  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(), ErrorCode::kPlatformError);
}

TEST_F(SecureEnclaveTest, DeletingARecordKeyAsksNothing) {
  Change([](Mac& mac) { mac.entitled = false; });
  const ProviderKey key = Create(provider_, id_);
  const size_t before = stand_in::Calls("SecItemDelete");
  provider_.Delete(id_, key.handle, NoHurry());

  EXPECT_EQ(stand_in::Calls("SecItemDelete"), before);
}

TEST_F(SecureEnclaveTest, RefusesDamagedHandles) {
  for (const char* handle :
       {"null", "{}", R"({"home":"keychain"})", R"({"home":"moon","publicKeySha256":"AAAA"})",
        R"({"home":"record","publicKeySha256":"AAAA"})",
        R"({"home":"record","publicKeySha256":"AAAA","wrappedKeyBase64":"?"})"}) {
    const auto json = nlohmann::json::parse(handle);
    EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, json); }).code(), ErrorCode::kStoreCorrupt)
        << handle;
  }
}

TEST_F(SecureEnclaveTest, TimesOutWhileMacosWaitsAndDeletesTheLateKey) {
  Change([](Mac& mac) { mac.delay = std::chrono::milliseconds(300); });
  const OperationLimits soon{.deadline =
                                 std::chrono::steady_clock::now() + std::chrono::milliseconds(50)};

  EXPECT_EQ(ErrorOf([&] { provider_.Create(id_, {}, soon); }).code(), ErrorCode::kDeviceTimeout);
  // Before the key is made, a first call checks whether the host is entitled.
  WaitUntil([] { return stand_in::Calls("SecItemDelete") > 1 && !AnyLeaked(); });
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(SecureEnclaveTest, EndsWhenTheStoreIsClosed) {
  Interrupt interrupt;
  interrupt.Trigger();
  OperationLimits limits = NoHurry();
  limits.interrupt = &interrupt;

  EXPECT_EQ(ErrorOf([&] { provider_.Create(id_, {}, limits); }).code(), ErrorCode::kClosed);
}

}  // namespace
}  // namespace device_key
