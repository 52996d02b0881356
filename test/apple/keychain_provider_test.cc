#include "providers/apple/keychain_provider.h"

#include <gmock/gmock.h>

#include "apple_fixture.h"

namespace device_key {
namespace {

using stand_in::Answers;
using stand_in::Change;
using stand_in::KeychainTags;
using stand_in::Mac;

class KeychainProviderTest : public AppleTest {
 protected:
  const KeyId id_ = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
  KeychainProvider provider_{/*user_presence=*/false};
};

TEST_F(KeychainProviderTest, CreatesSignsAndDeletesWithoutAnEnclave) {
  Change([](Mac& mac) { mac.has_enclave = false; });
  const ProviderKey key = Create(provider_, id_);

  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
  provider_.Delete(id_, key.handle, NoHurry());
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_EQ(ErrorOf([&] { Sign(provider_, id_, key.handle); }).code(), ErrorCode::kKeyLost);
}

TEST_F(KeychainProviderTest, ProbeLeavesNothingBehind) {
  EXPECT_TRUE(provider_.Probe(NoHurry()).available());
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(KeychainProviderTest, NeedsTheEntitlement) {
  Change([](Mac& mac) { mac.entitled = false; });

  EXPECT_EQ(provider_.Probe(NoHurry()).error->code(), ErrorCode::kMissingEntitlement);
}

TEST_F(KeychainProviderTest, DoesWithoutAnAccessControlWhereItIsRefused) {
  Change([](Mac& mac) { mac.refuses_access_control = true; });
  const ProviderKey key = Create(provider_, id_);

  EXPECT_TRUE(Verifies(key, Sign(provider_, id_, key.handle)));
}

TEST_F(KeychainProviderTest, ReportsBothStatusesWhenBothWaysFail) {
  Answers("SecKeyCreateRandomKey", {{errSecAuthFailed}, {errSecItemNotFound}});

  EXPECT_THAT(ErrorOf([&] { Create(provider_, id_); }).what(),
              testing::AllOf(testing::HasSubstr("-25293"), testing::HasSubstr("-25300")));
}

TEST_F(KeychainProviderTest, NeverDropsUserPresenceForTheSakeOfAKey) {
  KeychainProvider provider(/*user_presence=*/true);
  Change([](Mac& mac) { mac.refuses_access_control = true; });

  EXPECT_EQ(ErrorOf([&] { Create(provider, id_); }).code(), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(KeychainTags().empty());
}

TEST_F(KeychainProviderTest, OtherFailuresAreNotTriedAgain) {
  Answers("SecKeyCreateRandomKey", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kSessionLocked);
  EXPECT_EQ(stand_in::Calls("SecKeyCreateRandomKey"), 1u);
}

TEST_F(KeychainProviderTest, ThrowsAwayAKeyThatCanBeExported) {
  Change([](Mac& mac) { mac.exports_keys = true; });

  EXPECT_EQ(ErrorOf([&] { Create(provider_, id_); }).code(), ErrorCode::kCryptoError);
  EXPECT_TRUE(KeychainTags().empty());
}

}  // namespace
}  // namespace device_key
