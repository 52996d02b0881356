// DeviceKeyStore with a Mac's providers.
#include <gmock/gmock.h>
#include <sys/acl.h>

#include <cctype>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

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

  // A store whose clock is `seconds` ahead.
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

TEST_F(MacKeyStoreTest, NamesTheFallbackWhenOnlyHardwareIsAllowed) {
  Change([](Mac& mac) { mac.has_enclave = false; });

  const DeviceKeyError error = ErrorOf([&] { Create(store_); });
  EXPECT_EQ(error.code(), ErrorCode::kDegradedProtectionNotAllowed);
  EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("no Secure Enclave"),
                                           testing::HasSubstr("os_protected_nonextractable")));
  EXPECT_TRUE(KeychainTags().empty());
  EXPECT_EQ(Announcements(), 0u);
}

TEST_F(MacKeyStoreTest, UsesTheFallbackWhenItIsAllowed) {
  Change([](Mac& mac) { mac.has_enclave = false; });
  const CreateResponse key = Create(store_, ProtectionPolicy::kAllowOsProtectedNonextractable);

  EXPECT_EQ(key.key_id.protection_class(), ProtectionClass::kOsProtectedNonextractable);
  EXPECT_EQ(FileKeychainTags(), std::vector<std::string>{key.key_id.str()});
}

TEST_F(MacKeyStoreTest, DoesNotUseTheFallbackInALockedSession) {
  stand_in::Answers("SecItemCopyMatching", {{errSecInteractionNotAllowed}});

  EXPECT_EQ(
      ErrorOf([&] { Create(store_, ProtectionPolicy::kAllowOsProtectedNonextractable); }).code(),
      ErrorCode::kSessionLocked);
}

TEST_F(MacKeyStoreTest, RefusesADirectoryThatAnAccessListLetsOthersWriteTo) {
  const CreateResponse key = Create(store_);
  Change([](Mac& mac) { mac.access_list = {{.allows = true, .permissions = ACL_APPEND_DATA}}; });

  const DeviceKeyError error = ErrorOf([&] { Create(store_); });
  EXPECT_EQ(error.code(), ErrorCode::kStoreInsecure);
  EXPECT_THAT(error.what(), testing::HasSubstr("chmod -N"));
  Change([](Mac& mac) { mac.access_list.clear(); });
  Sign(key.key_id);
}

TEST_F(MacKeyStoreTest, RefusesADirectoryThatAnAccessListLetsOthersRead) {
  Change([](Mac& mac) { mac.access_list = {{.allows = true, .permissions = ACL_READ_DATA}}; });

  EXPECT_EQ(ErrorOf([&] { Create(store_); }).code(), ErrorCode::kStoreInsecure);
}

TEST_F(MacKeyStoreTest, AcceptsADirectoryWhoseAccessListGrantsNothing) {
  // macOS protects its folders with such a list.
  Change([](Mac& mac) { mac.access_list = {{.allows = false, .permissions = ACL_DELETE}}; });

  EXPECT_NO_THROW(Sign(Create(store_).key_id));
}

// The default file systems of macOS ignore case.
TEST_F(MacKeyStoreTest, DoesNotFindAnIdThatDiffersInCase) {
  const KeyId key_id = Create(store_).key_id;
  std::string text = key_id.str();
  for (size_t i = std::string_view("dk_hse_").size(); i < text.size(); ++i) {
    const unsigned char letter = static_cast<unsigned char>(text[i]);
    // The last character must also leave the unused bits 0.
    if (std::isalpha(letter) == 0 || i + 1 == text.size()) continue;
    text[i] =
        static_cast<char>(std::islower(letter) != 0 ? std::toupper(letter) : std::tolower(letter));
  }
  const std::optional<KeyId> other = KeyId::Parse(text);
  ASSERT_TRUE(other);
  std::filesystem::copy_file(directory_ / (key_id.str() + ".json"), directory_ / (text + ".json"));

  EXPECT_EQ(ErrorOf([&] { Sign(*other); }).code(), ErrorCode::kKeyNotFound);
}

TEST_F(MacKeyStoreTest, SupportReportsTheHomeAndTheReason) {
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
  // The state that the process left: the key is announced and made.
  SecureEnclaveProvider provider(UserPresence{});
  const KeyId lost = KeyId::Generate(ProtectionClass::kHardwareSecureEnclave);
  PendingKeys(directory_.path()).Announce(provider, lost, nullptr);
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
