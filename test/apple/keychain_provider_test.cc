#include "providers/apple/keychain_provider.h"

#include <gmock/gmock.h>

#include "apple_fixture.h"

namespace device_key {
namespace {

using stand_in::Answers;
using stand_in::Change;
using stand_in::FileKeychainTags;
using stand_in::KeychainTags;
using stand_in::Mac;

class KeychainProviderTest : public AppleTest {
 protected:
  const KeyId id_ = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
  KeychainProvider provider_{UserPresence{}};
};

TEST_F(KeychainProviderTest, CreatesSignsAndDeletesWithoutAnEnclave) {
  Change([](Mac& mac) { mac.has_enclave = false; });
  const ProviderKey key = Create(provider_, id_);

  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
  provider_.Delete(id_, key.handle, NoHurry());
  EXPECT_TRUE(FileKeychainTags().empty());
  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(), ErrorCode::kKeyLost);
}

TEST_F(KeychainProviderTest, UsesTheLoginKeychainWhereTheDataProtectionKeychainExportsKeys) {
  const ProviderKey key = Create(provider_, id_);

  EXPECT_EQ(key.handle["home"], "fileKeychain");
  EXPECT_EQ(FileKeychainTags(), std::vector<std::string>{id_.str()});
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(KeychainProviderTest, DoesNotTryToExportAKeyWhoseAttributesAllowIt) {
  Create(provider_, id_);

  // Two exports of the login keychain's key: the private half, which is refused, and the public
  // half.
  EXPECT_EQ(stand_in::Calls("SecKeyCopyExternalRepresentation"), 2u);
}

TEST_F(KeychainProviderTest, PrefersTheDataProtectionKeychainWhereItDoesNotExportKeys) {
  Change([](Mac& mac) { mac.keeps_software_keys = true; });
  const ProviderKey key = Create(provider_, id_);

  EXPECT_EQ(key.handle["home"], "keychain");
  EXPECT_EQ(KeychainTags(), std::vector<std::string>{id_.str()});
  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(KeychainProviderTest, NeverMovesAKey) {
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.keeps_software_keys = true; });

  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
  provider_.Delete(id_, key.handle, NoHurry());
  EXPECT_TRUE(FileKeychainTags().empty());
}

TEST_F(KeychainProviderTest, ProbeNamesTheHomeAndTheReasonAndLeavesNoKey) {
  const Availability availability = provider_.Probe(NoHurry());

  EXPECT_TRUE(availability.available());
  EXPECT_EQ(availability.details["home"], "fileKeychain");
  EXPECT_THAT(availability.details["homeReason"].get<std::string>(),
              testing::HasSubstr("can be exported"));
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_TRUE(FileKeychainTags().empty());
}

TEST_F(KeychainProviderTest, AKeyIsNotLostWhereTheHostLacksTheEntitlement) {
  Change([](Mac& mac) { mac.keeps_software_keys = true; });
  const ProviderKey key = Create(provider_, id_);
  Change([](Mac& mac) { mac.entitled = false; });

  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(),
            ErrorCode::kMissingEntitlement);
}

TEST_F(KeychainProviderTest, IsLockedWithoutALoginKeychain) {
  Change([](Mac& mac) { mac.has_default_keychain = false; });

  const DeviceKeyError error = ErrorOf([&] { Create(provider_, id_); });
  EXPECT_EQ(error.code(), ErrorCode::kSessionLocked);
  EXPECT_EQ(error.platform_status(), static_cast<uint32_t>(errSecNoDefaultKeychain));
}

TEST_F(KeychainProviderTest, NeedsNoEntitlementForTheLoginKeychain) {
  Change([](Mac& mac) { mac.entitled = false; });

  const Availability availability = provider_.Probe(NoHurry());
  EXPECT_TRUE(availability.available());
  EXPECT_THAT(availability.details["homeReason"].get<std::string>(), testing::HasSubstr("-34018"));
  EXPECT_EQ(Create(provider_, id_).handle["home"], "fileKeychain");
}

TEST_F(KeychainProviderTest, MakesKeysWithoutAnAccessControlWhereItIsRefused) {
  Change([](Mac& mac) {
    mac.keeps_software_keys = true;
    mac.refuses_access_control = true;
  });
  const ProviderKey key = Create(provider_, id_);

  EXPECT_EQ(key.handle["home"], "keychain");
  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(KeychainProviderTest, ReportsTheStatusOfEachWayWhenAllFail) {
  Answers("SecKeyCreateRandomKey",
          {{errSecAuthFailed}, {errSecItemNotFound}, {errSecNoSuchKeychain}});

  const DeviceKeyError error = ErrorOf([&] { Create(provider_, id_); });
  EXPECT_THAT(error.what(),
              testing::AllOf(testing::HasSubstr("-25293"), testing::HasSubstr("-25300"),
                             testing::HasSubstr("-25294")));
  EXPECT_EQ(error.platform_status(), static_cast<uint32_t>(errSecNoSuchKeychain));
}

TEST_F(KeychainProviderTest, NeverMakesAKeyWithoutTheRequestedUserPresence) {
  KeychainProvider provider(UserPresence{.required = true});
  Change([](Mac& mac) { mac.refuses_access_control = true; });

  EXPECT_EQ(ErrorOf([&] { Create(provider, id_); }).code(), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_TRUE(FileKeychainTags().empty());
}

TEST_F(KeychainProviderTest, DoesNotTryAnotherWayAfterATemporaryFailure) {
  Answers("SecKeyCreateRandomKey", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kSessionLocked);
  EXPECT_EQ(stand_in::Calls("SecKeyCreateRandomKey"), 1u);
}

TEST_F(KeychainProviderTest, OnlyAnExplicitNotFoundLeadsToCreation) {
  Answers("SecItemCopyMatching", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kSessionLocked);
  EXPECT_EQ(stand_in::Calls("SecKeyCreateRandomKey"), 0u);
}

TEST_F(KeychainProviderTest, IsUnavailableWhereEveryKeychainExportsItsKeys) {
  Change([](Mac& mac) { mac.exports_keys = true; });

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kHardwareUnavailable);
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_TRUE(FileKeychainTags().empty());
}

TEST_F(KeychainProviderTest, DeletesAKeyThatWasAnnouncedAndNeverRecordedWhereverItIs) {
  Create(provider_, id_);
  provider_.Delete(id_, nullptr, NoHurry());
  EXPECT_TRUE(FileKeychainTags().empty());

  Change([](Mac& mac) { mac.keeps_software_keys = true; });
  Create(provider_, id_);
  provider_.Delete(id_, nullptr, NoHurry());
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(KeychainProviderTest, DeletesTheLateKeyOfACallThatTimedOut) {
  Change([](Mac& mac) {
    mac.keeps_software_keys = true;
    mac.delay = std::chrono::milliseconds(300);
  });
  const OperationLimits soon{.deadline =
                                 std::chrono::steady_clock::now() + std::chrono::milliseconds(50)};

  EXPECT_EQ(ErrorOf([&] { provider_.Create(id_, {}, soon); }).code(), ErrorCode::kDeviceTimeout);
  // Before the key is made, a first call checks whether the host is entitled.
  WaitUntil([] { return stand_in::Calls("SecItemDelete") > 1 && !AnyLeaked(); });
  EXPECT_TRUE(KeychainTags().empty());
}

}  // namespace
}  // namespace device_key
