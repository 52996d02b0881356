#include "providers/apple/user_presence.h"

#include "apple_fixture.h"
#include "providers/apple/keychain_provider.h"
#include "providers/apple/secure_enclave_provider.h"

namespace device_key {
namespace {

using stand_in::Answers;
using stand_in::Change;
using stand_in::Mac;
using stand_in::Prompts;

constexpr UserPresence kEachUse{.required = true};
// Longer than any test takes.
constexpr UserPresence kEachHour{.required = true, .reuse = std::chrono::hours(1)};

class UserPresenceTest : public AppleTest {
 protected:
  const KeyId id_ = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
  const KeyId other_id_ = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
};

TEST_F(UserPresenceTest, IsNotRequiredByDefault) {
  SecureEnclaveProvider provider(UserPresence{});
  Sign(provider, id_, Create(provider, id_).handle);

  EXPECT_EQ(Prompts(), 0u);
}

TEST_F(UserPresenceTest, MakingAKeyDoesNotAskForIt) {
  SecureEnclaveProvider provider(kEachUse);
  Create(provider, id_);
  Change([](Mac& mac) { mac.entitled = false; });
  Create(provider, other_id_);

  EXPECT_EQ(Prompts(), 0u);
}

TEST_F(UserPresenceTest, IsAskedForEachUseInBothHomes) {
  SecureEnclaveProvider provider(kEachUse);
  for (const bool entitled : {true, false}) {
    Change([&](Mac& mac) { mac.entitled = entitled; });
    const ProviderKey key = Create(provider, id_);
    const size_t before = Prompts();
    Sign(provider, id_, key.handle);
    Sign(provider, id_, key.handle);
    EXPECT_EQ(Prompts(), before + 2);
  }
}

TEST_F(UserPresenceTest, LastsForTheReuseWindowInBothHomes) {
  for (const bool entitled : {true, false}) {
    SecureEnclaveProvider provider(kEachHour);
    Change([&](Mac& mac) { mac.entitled = entitled; });
    const ProviderKey key = Create(provider, id_);
    const size_t before = Prompts();
    Sign(provider, id_, key.handle);
    EXPECT_TRUE(Verifies(key, Sign(provider, id_, key.handle)));
    EXPECT_EQ(Prompts(), before + 1);
  }
}

TEST_F(UserPresenceTest, AppliesToTheOtherKeysOfTheProvider) {
  SecureEnclaveProvider provider(kEachHour);
  Sign(provider, id_, Create(provider, id_).handle);
  Sign(provider, other_id_, Create(provider, other_id_).handle);

  EXPECT_EQ(Prompts(), 1u);
}

TEST_F(UserPresenceTest, DoesNotApplyToAnotherProvider) {
  SecureEnclaveProvider first(kEachHour), second(kEachHour);
  const ProviderKey key = Create(first, id_);
  Sign(first, id_, key.handle);
  Sign(second, id_, key.handle);

  EXPECT_EQ(Prompts(), 2u);
}

TEST_F(UserPresenceTest, EndsWithTheReuseWindow) {
  ReuseWindow window(std::chrono::seconds(1));
  stand_in::Confirm(window.During([](CFTypeRef context) { return context; }));

  // Wait until the window returns another context, which is unconfirmed.
  WaitUntil([&] {
    return window.During([](CFTypeRef context) { return !stand_in::IsConfirmed(context); });
  });
}

TEST_F(UserPresenceTest, AFailedUseClosesTheWindow) {
  SecureEnclaveProvider provider(kEachHour);
  const ProviderKey key = Create(provider, id_);
  Sign(provider, id_, key.handle);
  Answers("SecKeyCreateSignature", {{errSecUserCanceled}});
  EXPECT_EQ(ErrorOf([&] { Sign(provider, id_, key.handle); }).code(), ErrorCode::kUserCanceled);
  Sign(provider, id_, key.handle);

  EXPECT_EQ(Prompts(), 2u);
}

TEST_F(UserPresenceTest, IsAskedForEachUseWithoutLocalAuthentication) {
  SecureEnclaveProvider provider(kEachHour);
  Change([](Mac& mac) { mac.has_local_authentication = false; });
  const ProviderKey key = Create(provider, id_);
  Sign(provider, id_, key.handle);
  Sign(provider, id_, key.handle);

  EXPECT_EQ(Prompts(), 2u);
}

TEST_F(UserPresenceTest, OfAKeychainKeyIsAskedForWhenItIsLookedUp) {
  Change([](Mac& mac) { mac.keeps_software_keys = true; });
  KeychainProvider provider(kEachHour);
  const KeyId id = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
  const ProviderKey key = Create(provider, id);
  Sign(provider, id, key.handle);
  Sign(provider, id, key.handle);
  EXPECT_EQ(Prompts(), 1u);

  // Other searches, such as for an older key with this name, ask nobody; this one does.
  Answers("SecItemCopyMatching", {{errSecUserCanceled}});
  EXPECT_EQ(ErrorOf([&] { Sign(provider, id, key.handle); }).code(), ErrorCode::kUserCanceled);
}

TEST_F(UserPresenceTest, BelongsToTheKeyNotToALaterProvider) {
  SecureEnclaveProvider strict(kEachUse);
  SecureEnclaveProvider lenient(UserPresence{});
  const ProviderKey key = Create(strict, id_);
  Sign(lenient, id_, key.handle);

  EXPECT_EQ(Prompts(), 1u);
}

}  // namespace
}  // namespace device_key
