// The key store on a Mac's providers: what its users meet.
#include <gmock/gmock.h>

#include <ctime>
#include <filesystem>
#include <memory>

#include "apple_fixture.h"
#include "keystore/device_key_store.h"
#include "keystore/pending_keys.h"
#include "platform/temporary_directory.h"
#include "protocol/payloads.h"
#include "providers/apple/keychain_provider.h"
#include "providers/apple/secure_enclave_provider.h"

namespace device_key {
namespace {

using stand_in::Change;
using stand_in::FileKeychainTags;
using stand_in::KeychainTags;
using stand_in::Mac;

class MacKeyStoreTest : public AppleTest {
 protected:
  MacKeyStoreTest() : store_(Open(0)) {}

  // A store whose clock is ahead by `seconds`.
  DeviceKeyStore Open(int64_t seconds) {
    return DeviceKeyStore(
        {.directory = directory_.path(), .now = [seconds] { return std::time(nullptr) + seconds; }},
        {std::make_shared<SecureEnclaveProvider>(UserPresence{}),
         std::make_shared<KeychainProvider>(UserPresence{})});
  }
  CreateResponse Create(DeviceKeyStore& store,
                        ProtectionPolicy policy = ProtectionPolicy::kHardwareOnly) {
    return store.Create(
        {.account_user_id = "account", .client_id = "client", .protection_policy = policy},
        NoHurry(), [] { return true; });
  }
  void Sign(const KeyId& key_id) {
    ConnectionPayload payload = GoodConnection();
    payload.account_user_id = "account";
    payload.client_id = "client";
    payload.token_expires_at = std::time(nullptr) + 60;
    store_.Sign(store_.Prepare({key_id, payload}), NoHurry());
  }
  size_t Announcements() const {
    size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_.path())) {
      count += file.path().extension() == ".pending";
    }
    return count;
  }

  TemporaryDirectory directory_;
  DeviceKeyStore store_;
};

TEST_F(MacKeyStoreTest, MakesHardwareKeysOnAMacWithAnEnclave) {
  const CreateResponse key = Create(store_);

  EXPECT_EQ(key.key_id.protection_class(), ProtectionClass::kHardwareSecureEnclave);
  EXPECT_EQ(KeychainTags(), std::vector<std::string>{key.key_id.str()});
  EXPECT_EQ(Announcements(), 0u);
}

TEST_F(MacKeyStoreTest, NamesTheFallbackToWhoeverWantsHardware) {
  Change([](Mac& mac) { mac.has_enclave = false; });

  const DeviceKeyError error = ErrorOf([&] { Create(store_); });
  EXPECT_EQ(error.code(), ErrorCode::kDegradedProtectionNotAllowed);
  EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("no Secure Enclave"),
                                           testing::HasSubstr("os_protected_nonextractable")));
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_EQ(Announcements(), 0u);
}

TEST_F(MacKeyStoreTest, TakesTheFallbackWhereItIsAllowed) {
  Change([](Mac& mac) { mac.has_enclave = false; });
  const CreateResponse key = Create(store_, ProtectionPolicy::kAllowOsProtectedNonextractable);

  EXPECT_EQ(key.key_id.protection_class(), ProtectionClass::kOsProtectedNonextractable);
  EXPECT_EQ(FileKeychainTags(), std::vector<std::string>{key.key_id.str()});
}

TEST_F(MacKeyStoreTest, ALockedSessionDegradesNoEnrollment) {
  stand_in::Answers("SecItemCopyMatching", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(
      ErrorOf([&] { Create(store_, ProtectionPolicy::kAllowOsProtectedNonextractable); }).code(),
      ErrorCode::kSessionLocked);
}

TEST_F(MacKeyStoreTest, SupportTellsTheHomeAndWhy) {
  Change([](Mac& mac) { mac.entitled = false; });
  const auto support = store_.Support(NoHurry());

  EXPECT_EQ(support["protectionClass"], "hardware_secure_enclave");
  EXPECT_EQ(support["providers"][0]["details"]["home"], "record");
  EXPECT_THAT(support["providers"][0]["details"]["homeReason"].get<std::string>(),
              testing::HasSubstr("-34018"));
}

TEST_F(MacKeyStoreTest, RefusesASignatureThatDoesNotVerify) {
  const CreateResponse key = Create(store_);
  Change([](Mac& mac) { mac.signs_wrongly = true; });

  EXPECT_EQ(ErrorOf([&] { Sign(key.key_id); }).code(), ErrorCode::kCryptoError);
  EXPECT_EQ(stand_in::Calls("SecKeyCreateSignature"), 2u);
}

TEST_F(MacKeyStoreTest, SweepsTheKeyOfAProcessThatDiedBeforeItWasRecorded) {
  // As that process left it: announced and made.
  SecureEnclaveProvider provider(UserPresence{});
  const KeyId lost = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
  PendingKeys(directory_.path()).Announce(provider, lost);
  AppleTest::Create(provider, lost);

  DeviceKeyStore later = Open(PendingKeys::kAbandonedAfterSeconds + 60);
  const CreateResponse key = Create(later);
  EXPECT_EQ(KeychainTags(), std::vector<std::string>{key.key_id.str()});
  EXPECT_EQ(Announcements(), 0u);
}

TEST_F(MacKeyStoreTest, DeletesTheKeyThatCouldNotBeRecorded) {
  EXPECT_EQ(ErrorOf([&] {
              store_.Create({.account_user_id = "account", .client_id = "client"}, NoHurry(),
                            [] { return false; });
            }).code(),
            ErrorCode::kCanceled);
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_EQ(Announcements(), 0u);
}

}  // namespace
}  // namespace device_key
