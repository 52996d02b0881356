#include "keystore/device_key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include "crypto/base64.h"
#include "crypto/p256.h"
#include "keystore/test_providers.h"
#include "keystore/test_records.h"
#include "platform/expect_error.h"
#include "platform/temporary_directory.h"
#include "protocol/signed_bytes.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

namespace device_key {
namespace {

namespace fs = std::filesystem;

bool Commit() { return true; }

class DeviceKeyStoreTest : public testing::Test {
 protected:
  DeviceKeyStore Open(std::vector<std::shared_ptr<KeyProvider>> providers) {
    return DeviceKeyStore({.directory = directory_, .now = [this] { return now_.load(); }},
                          std::move(providers));
  }

  CreateResponse Create(DeviceKeyStore& store) {
    return store.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(),
                        Commit);
  }

  SignResponse Sign(DeviceKeyStore& store, const KeyId& key_id) {
    return store.Sign(store.Prepare({key_id, NewConnection()}), NoHurry());
  }

  KeyId CreateUnbound() { return store_.CreateUnbound({}, NoHurry(), Commit).key_id; }

  SignResponse Enroll(DeviceKeyStore& store, const KeyId& key_id,
                      const std::string& account_user_id = "account-1") {
    return store.Sign(store.Prepare({key_id, NewEnrollment(account_user_id)}), NoHurry());
  }

  // The binding in the record.
  std::string AccountOf(const KeyId& key_id) {
    return std::get<AccountBinding>(RecordStore(directory_).Read(key_id)->record().binding)
        .account_user_id;
  }

  // As another process that is deleting the key: removes its record soon.
  std::thread RemoveRecordSoon(const KeyId& key_id) {
    return std::thread([record = directory_ / (key_id.str() + ".json")] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      fs::remove(record);
    });
  }

  TemporaryDirectory scratch_;
  const fs::path directory_ = scratch_ / "keys";
  std::atomic<int64_t> now_{kNow};
  const std::shared_ptr<SoftwareProvider> provider_ = std::make_shared<SoftwareProvider>();
  DeviceKeyStore store_ = Open({provider_});
};

TEST_F(DeviceKeyStoreTest, OpeningDoesNotTouchTheDisk) { EXPECT_FALSE(fs::exists(directory_)); }

TEST_F(DeviceKeyStoreTest, CreatesAKeyThatCanBeReadBack) {
  const CreateResponse created = Create(store_);

  EXPECT_EQ(created.key_id.protection_class(), ProtectionClass::kHardwareTpm);
  EXPECT_EQ(store_.Public(created.key_id).public_key_spki_der, created.public_key_spki_der);
}

TEST_F(DeviceKeyStoreTest, RecordsTheAccountTheClientAndTheTime) {
  Create(store_);

  const std::vector<ListedKey> keys = store_.List();
  ASSERT_EQ(keys.size(), 1u);
  const KeyRecord& record = keys[0].key->record();
  EXPECT_EQ(record.provider, "software");
  EXPECT_EQ(record.binding, KeyBinding(AccountBinding{"account-1", "client-1"}));
  EXPECT_EQ(record.created_at, kNow);
}

TEST_F(DeviceKeyStoreTest, ItsSignatureOfTheProtocolsBytesVerifies) {
  const CreateResponse created = Create(store_);

  const SignResponse response = Sign(store_, created.key_id);

  EXPECT_EQ(response.signed_bytes, SignedBytes(NewConnection()));
  EXPECT_TRUE(P256PublicKey::FromSpki(created.public_key_spki_der)
                  .Verify(Sha256(AsBytes(response.signed_bytes)), response.signature_der));
}

TEST_F(DeviceKeyStoreTest, SignsWithKeysThatAnEarlierStoreMade) {
  const CreateResponse created = Create(store_);
  DeviceKeyStore later = Open({provider_});

  EXPECT_NO_THROW(Sign(later, created.key_id));
}

TEST_F(DeviceKeyStoreTest, DeletesKeyAndRecord) {
  const KeyId key_id = Create(store_).key_id;

  store_.Delete(key_id, NoHurry());

  EXPECT_EQ(provider_->keys(), 0u);
  EXPECT_TRUE(store_.List().empty());
  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Public(key_id); });
  ExpectError(ErrorCode::kKeyNotFound, [&] { Sign(store_, key_id); });
  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Delete(key_id, NoHurry()); });
}

TEST_F(DeviceKeyStoreTest, KeepsTheRecordOfAKeyThatCouldNotBeDeleted) {
  const KeyId key_id = Create(store_).key_id;
  provider_->on_delete = [] { throw DeviceKeyError(ErrorCode::kDeviceBusy, "busy"); };

  ExpectError(ErrorCode::kDeviceBusy, [&] { store_.Delete(key_id, NoHurry()); });
  EXPECT_EQ(store_.List().size(), 1u);
}

TEST_F(DeviceKeyStoreTest, KeepsTheRecordOfAKeyWhoseProviderIsMissing) {
  const KeyId key_id = Create(store_).key_id;
  DeviceKeyStore elsewhere = Open({});

  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { elsewhere.Delete(key_id, NoHurry()); },
      "\"software\"");
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { Sign(elsewhere, key_id); }, "\"software\"");
  EXPECT_NO_THROW(elsewhere.Public(key_id));
  EXPECT_EQ(elsewhere.List().size(), 1u);
}

// Creating: errors, which must not leave a key.

TEST_F(DeviceKeyStoreTest, ChecksTheStoreBeforeItUsesHardware) {
  fs::create_directory(directory_);
  AllowOthersToWrite(directory_);

  ExpectError(ErrorCode::kStoreInsecure, [&] { Create(store_); });
  EXPECT_EQ(provider_->creations, 0);
}

TEST_F(DeviceKeyStoreTest, DeletesTheKeyWhenTheCallerHasCanceled) {
  ExpectError(ErrorCode::kCanceled, [&] {
    store_.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(),
                  [] { return false; });
  });

  EXPECT_EQ(provider_->creations, 1);
  EXPECT_EQ(provider_->keys(), 0u);
  EXPECT_EQ(CountEntries(directory_), 0u);
}

TEST_F(DeviceKeyStoreTest, AsksWhetherToCommitWhenTheKeyExistsAndTheRecordDoesNot) {
  store_.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(), [&] {
    EXPECT_EQ(provider_->keys(), 1u);
    EXPECT_TRUE(store_.List().empty());
    return true;
  });

  EXPECT_EQ(store_.List().size(), 1u);
  EXPECT_EQ(CountEntries(directory_), 1u);
}

TEST_F(DeviceKeyStoreTest, DeletesTheKeyWhenItsRecordCannotBeWritten) {
  ExpectError(ErrorCode::kStoreInsecure, [&] {
    store_.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(), [&] {
      AllowOthersToWrite(directory_);
      return true;
    });
  });

  EXPECT_EQ(provider_->keys(), 0u);
  EXPECT_EQ(CountEntries(directory_), 0u);
}

TEST_F(DeviceKeyStoreTest, ReportsTheRecordsErrorWhenTheKeyCannotBeDeletedEither) {
  provider_->on_delete = [] { throw DeviceKeyError(ErrorCode::kDeviceBusy, "busy"); };

  ExpectError(ErrorCode::kCanceled, [&] {
    store_.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(),
                  [] { return false; });
  });
}

TEST_F(DeviceKeyStoreTest, RefusesAnInvalidPublicKeyFromHardware) {
  class InvalidKeyProvider : public SoftwareProvider {
   public:
    ProviderKey Create(const KeyId& id, const AuthValue& auth,
                       const OperationLimits& limits) override {
      ProviderKey key = SoftwareProvider::Create(id, auth, limits);
      key.spki_der.back() ^= 1;  // a point that is not on the curve
      return key;
    }
  };
  const auto provider = std::make_shared<InvalidKeyProvider>();
  DeviceKeyStore store = Open({provider});

  ExpectError(ErrorCode::kCryptoError, [&] { Create(store); });
  EXPECT_EQ(provider->keys(), 0u);
  EXPECT_EQ(CountEntries(directory_), 0u);
}

TEST_F(DeviceKeyStoreTest, ObeysThePolicyOfTheParams) {
  const auto broken =
      std::make_shared<FailingProvider>(ErrorCode::kHardwareUnavailable, "the reason");
  const auto fallback =
      std::make_shared<SoftwareProvider>(ProtectionClass::kOsProtectedNonextractable, "fallback");
  DeviceKeyStore store = Open({broken, fallback});

  ExpectError(ErrorCode::kDegradedProtectionNotAllowed, [&] { Create(store); });
  const CreateResponse created =
      store.Create({.account_user_id = "account-1",
                    .client_id = "client-1",
                    .protection_policy = ProtectionPolicy::kAllowOsProtectedNonextractable},
                   NoHurry(), Commit);

  EXPECT_TRUE(created.key_id.str().starts_with("dk_osn_"));
  EXPECT_NO_THROW(Sign(store, created.key_id));
}

// Signing: refused requests, and when they are refused.

TEST_F(DeviceKeyStoreTest, RefusesABadPayloadBeforeAnythingWaits) {
  ConnectionPayload payload = NewConnection();
  payload.target_origin = "https://example.com";
  const KeyId unknown = KeyId::Generate(ProtectionClass::kHardwareTpm);

  ExpectError(
      ErrorCode::kInvalidPayload,
      [&] {
        store_.Prepare({unknown, payload});
      },
      "targetOrigin");
}

TEST_F(DeviceKeyStoreTest, AllowsTheTargetsOfItsOptions) {
  TargetPolicy targets = TargetPolicy::Default();
  targets.https_hosts = {"example.com"};
  const DeviceKeyStore store(
      {.directory = directory_, .targets = targets, .now = [] { return kNow; }}, {provider_});
  ConnectionPayload payload = NewConnection();
  payload.target_origin = "https://example.com";

  EXPECT_NO_THROW(store.Prepare({KeyId::Generate(ProtectionClass::kHardwareTpm), payload}));
}

TEST_F(DeviceKeyStoreTest, RefusesAPayloadForAnotherAccount) {
  const KeyId key_id = Create(store_).key_id;
  ConnectionPayload payload = NewConnection();
  payload.account_user_id = "account-2";

  ExpectError(ErrorCode::kBindingMismatch, [&] {
    store_.Sign(store_.Prepare({key_id, payload}), NoHurry());
  });
  EXPECT_EQ(provider_->signatures, 0);
}

TEST_F(DeviceKeyStoreTest, RefusesAPayloadForAnotherClient) {
  const KeyId key_id = Create(store_).key_id;
  ConnectionPayload payload = NewConnection();
  payload.client_id = "client-2";

  ExpectError(ErrorCode::kBindingMismatch, [&] {
    store_.Sign(store_.Prepare({key_id, payload}), NoHurry());
  });
  EXPECT_EQ(provider_->signatures, 0);
}

TEST_F(DeviceKeyStoreTest, PassesTheBindingOfTheRecordToTheProvider) {
  const KeyId key_id = Create(store_).key_id;
  const fs::path file = directory_ / (key_id.str() + ".json");
  nlohmann::json record = nlohmann::json::parse(ReadFile(file));
  record["accountUserId"] = "account-2";
  WriteFile(file, record.dump());
  ConnectionPayload payload = NewConnection();
  payload.account_user_id = "account-2";

  ExpectError(
      ErrorCode::kBindingMismatch,
      [&] {
        store_.Sign(store_.Prepare({key_id, payload}), NoHurry());
      },
      "made for");  // the provider's message
}

TEST_F(DeviceKeyStoreTest, RefusesAPayloadThatExpiredInTheQueue) {
  const KeyId key_id = Create(store_).key_id;
  const PreparedSignature prepared = store_.Prepare({key_id, NewConnection()});
  now_ = NewConnection().token_expires_at;

  ExpectError(ErrorCode::kInvalidPayload, [&] { store_.Sign(prepared, NoHurry()); });
  EXPECT_EQ(provider_->signatures, 0);
}

TEST_F(DeviceKeyStoreTest, ReloadsTheKeyOnceWhenASignatureDoesNotVerify) {
  const auto provider = std::make_shared<WrongKeyProvider>(1);
  DeviceKeyStore store = Open({provider});
  const CreateResponse created = Create(store);

  const SignResponse response = Sign(store, created.key_id);

  EXPECT_TRUE(P256PublicKey::FromSpki(created.public_key_spki_der)
                  .Verify(Sha256(AsBytes(response.signed_bytes)), response.signature_der));
  EXPECT_EQ(provider->unloads, 1);
}

TEST_F(DeviceKeyStoreTest, NeverReturnsASignatureThatDoesNotVerify) {
  const auto provider = std::make_shared<WrongKeyProvider>(1000);
  DeviceKeyStore store = Open({provider});
  const KeyId key_id = Create(store).key_id;

  ExpectError(
      ErrorCode::kCryptoError, [&] { Sign(store, key_id); }, key_id.str());
  EXPECT_EQ(provider->signatures, 2);
  EXPECT_EQ(provider->unloads, 1);
}

TEST_F(DeviceKeyStoreTest, DoesNotUnloadAKeyThatSignsCorrectly) {
  const KeyId key_id = Create(store_).key_id;

  Sign(store_, key_id);

  EXPECT_EQ(provider_->signatures, 1);
  EXPECT_EQ(provider_->unloads, 0);
}

// Its key is gone: another process has deleted it after the record was read, and then deletes the
// record.
class DeletedMeanwhileProvider : public SoftwareProvider {
 public:
  Bytes Sign(const KeyId&, const nlohmann::json&, const AuthValue&, const Sha256Digest&,
             const OperationLimits&) override {
    if (on_sign) on_sign();
    throw DeviceKeyError(ErrorCode::kKeyLost, "the key is lost");
  }
  std::function<void()> on_sign;
};

TEST_F(DeviceKeyStoreTest, AKeyThatIsDeletedMeanwhileIsNotFound) {
  const auto provider = std::make_shared<DeletedMeanwhileProvider>();
  DeviceKeyStore store = Open({provider});
  const KeyId key_id = Create(store).key_id;
  std::thread deleting;
  provider->on_sign = [&] { deleting = RemoveRecordSoon(key_id); };

  ExpectError(
      ErrorCode::kKeyNotFound, [&] { Sign(store, key_id); }, "it was deleted");
  deleting.join();
}

TEST_F(DeviceKeyStoreTest, AMissingKeyWithARecordIsLost) {
  DeviceKeyStore store = Open({std::make_shared<DeletedMeanwhileProvider>()});
  const KeyId key_id = Create(store).key_id;

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(store, key_id); }, "the key is lost");
}

TEST_F(DeviceKeyStoreTest, PassesOnTheProvidersError) {
  const KeyId key_id = Create(store_).key_id;
  DeviceKeyStore later = Open({std::make_shared<FailingProvider>(
      ErrorCode::kTpmLockout, "locked out", ProtectionClass::kHardwareTpm, "software")});

  ExpectError(
      ErrorCode::kTpmLockout, [&] { Sign(later, key_id); }, "locked out");
}

TEST_F(DeviceKeyStoreTest, SignsFromManyThreadsAtOnce) {
  const KeyId key_id = Create(store_).key_id;
  std::atomic<int> signatures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        Sign(store_, key_id);
        ++signatures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(signatures, 80);
}

// Unbound keys, which get their account and client with their first enrollment.

TEST_F(DeviceKeyStoreTest, CreatesAnUnboundKey) {
  const KeyId key_id = CreateUnbound();

  EXPECT_EQ(AccountOf(key_id), "");
  EXPECT_NO_THROW(store_.Public(key_id));
}

TEST_F(DeviceKeyStoreTest, ObeysThePolicyForAnUnboundKey) {
  const auto fallback =
      std::make_shared<SoftwareProvider>(ProtectionClass::kOsProtectedNonextractable, "fallback");
  DeviceKeyStore store = Open({fallback});

  ExpectError(ErrorCode::kDegradedProtectionNotAllowed,
              [&] { store.CreateUnbound({}, NoHurry(), Commit); });
  EXPECT_NO_THROW(store.CreateUnbound(
      {.protection_policy = ProtectionPolicy::kAllowOsProtectedNonextractable}, NoHurry(), Commit));
}

TEST_F(DeviceKeyStoreTest, AnUnboundKeySignsOnlyAnEnrollment) {
  const KeyId key_id = CreateUnbound();

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Sign(store_, key_id); }, "not been enrolled yet");
  EXPECT_EQ(provider_->bindings, 0);
  EXPECT_EQ(provider_->signatures, 0);
}

TEST_F(DeviceKeyStoreTest, SignsTheEnrollmentThatBindsTheKey) {
  const CreateResponse created = store_.CreateUnbound({}, NoHurry(), Commit);

  const SignResponse response = Enroll(store_, created.key_id);

  EXPECT_EQ(response.signed_bytes, SignedBytes(NewEnrollment()));
  EXPECT_TRUE(P256PublicKey::FromSpki(created.public_key_spki_der)
                  .Verify(Sha256(AsBytes(response.signed_bytes)), response.signature_der));
  EXPECT_EQ(AccountOf(created.key_id), "account-1");
}

TEST_F(DeviceKeyStoreTest, TheFirstEnrollmentIsPermanent) {
  const KeyId key_id = CreateUnbound();
  Enroll(store_, key_id);

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Enroll(store_, key_id, "account-2"); }, "accountUserId");
  EXPECT_NO_THROW(Sign(store_, key_id));
  EXPECT_NO_THROW(Enroll(store_, key_id));
  EXPECT_EQ(provider_->bindings, 1);
}

TEST_F(DeviceKeyStoreTest, DoesNotBindAKeyToAPayloadThatExpiredInTheQueue) {
  const KeyId key_id = CreateUnbound();
  const PreparedSignature prepared = store_.Prepare({key_id, NewEnrollment()});
  now_ = NewEnrollment().challenge_expires_at;

  ExpectError(ErrorCode::kInvalidPayload, [&] { store_.Sign(prepared, NoHurry()); });
  EXPECT_EQ(provider_->bindings, 0);
  EXPECT_EQ(AccountOf(key_id), "");
}

// A NUL separates the two ids in the text that is hashed for the binding.
TEST_F(DeviceKeyStoreTest, RefusesToBindToIdsWithANul) {
  EnrollmentPayload payload = NewEnrollment(std::string("a\0b", 3));
  const KeyId key_id = CreateUnbound();
  const auto prepare = [&] { store_.Prepare({key_id, payload}); };

  ExpectError(ErrorCode::kInvalidPayload, prepare, "accountUserId");
  payload = NewEnrollment();
  payload.client_id = std::string(1, '\0');
  ExpectError(ErrorCode::kInvalidPayload, prepare, "clientId");
}

TEST_F(DeviceKeyStoreTest, AKeyStaysUnboundWhenItsHardwareCannotBindIt) {
  const KeyId key_id = CreateUnbound();
  provider_->after_bind = [] { throw DeviceKeyError(ErrorCode::kDeviceBusy, "busy"); };

  ExpectError(ErrorCode::kDeviceBusy, [&] { Enroll(store_, key_id); });
  EXPECT_EQ(AccountOf(key_id), "");
  EXPECT_NO_THROW(Enroll(store_, key_id, "account-2"));
}

TEST_F(DeviceKeyStoreTest, AKeyStaysUnboundWhenItsRecordCannotBeWritten) {
  const KeyId key_id = CreateUnbound();
  provider_->after_bind = [&] { AllowOthersToWrite(directory_); };

  ExpectError(ErrorCode::kStoreInsecure, [&] { Enroll(store_, key_id); });
  RestrictToThisUser(directory_);

  EXPECT_EQ(AccountOf(key_id), "");
  EXPECT_NO_THROW(Enroll(store_, key_id, "account-2"));
}

TEST_F(DeviceKeyStoreTest, OneOfTwoConcurrentAccountsGetsTheKey) {
  const KeyId key_id = CreateUnbound();
  DeviceKeyStore other = Open({provider_});
  provider_->after_bind = [&] { Enroll(other, key_id, "account-2"); };

  ExpectError(ErrorCode::kBindingMismatch, [&] { Enroll(store_, key_id, "account-1"); });
  EXPECT_EQ(AccountOf(key_id), "account-2");
  EXPECT_NO_THROW(Enroll(store_, key_id, "account-2"));
}

TEST_F(DeviceKeyStoreTest, OneAccountCanEnrollTwiceConcurrently) {
  const KeyId key_id = CreateUnbound();
  DeviceKeyStore other = Open({provider_});
  provider_->after_bind = [&] { Enroll(other, key_id); };

  EXPECT_NO_THROW(Enroll(store_, key_id));
  EXPECT_NO_THROW(Sign(other, key_id));
}

TEST_F(DeviceKeyStoreTest, AKeyThatIsDeletedWhileItEnrollsStaysDeleted) {
  const KeyId key_id = CreateUnbound();
  DeviceKeyStore other = Open({provider_});
  provider_->after_bind = [&] { other.Delete(key_id, NoHurry()); };

  ExpectError(ErrorCode::kKeyNotFound, [&] { Enroll(store_, key_id); });
  EXPECT_EQ(CountEntries(directory_), 0u);
}

TEST_F(DeviceKeyStoreTest, ARecordThatIsEditedBackToUnboundFailsInTheHardware) {
  const KeyId key_id = CreateUnbound();
  Enroll(store_, key_id);
  const fs::path file = directory_ / (key_id.str() + ".json");
  nlohmann::json record = nlohmann::json::parse(ReadFile(file));
  record["accountUserId"] = nullptr;
  record["clientId"] = nullptr;
  WriteFile(file, record.dump());

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Enroll(store_, key_id, "account-2"); }, "somebody's");
  EXPECT_EQ(AccountOf(key_id), "");
}

// A limit that docs/remote-control.md states: the hardware keeps no list of the keys that it has
// bound.
TEST_F(DeviceKeyStoreTest, ACopyOfTheUnboundRecordCanBeEnrolledAgain) {
  const KeyId key_id = CreateUnbound();
  const fs::path file = directory_ / (key_id.str() + ".json");
  const std::string unbound = ReadFile(file);
  Enroll(store_, key_id);
  std::ofstream(file, std::ios::binary) << unbound;  // with the file's own access list

  EXPECT_NO_THROW(Enroll(store_, key_id, "account-2"));
  ExpectError(ErrorCode::kBindingMismatch, [&] { Enroll(store_, key_id, "account-1"); });
}

// Support.

TEST_F(DeviceKeyStoreTest, SupportReportsTheStoreAndCreatesNothing) {
  const nlohmann::ordered_json support = store_.Support(NoHurry());

  EXPECT_EQ(support["protectionClass"], "hardware_tpm");
  EXPECT_EQ(support["store"]["directory"], directory_.string());
  EXPECT_EQ(support["store"]["available"], true);
  EXPECT_FALSE(fs::exists(directory_));
}

TEST_F(DeviceKeyStoreTest, SupportReportsWhyTheStoreCannotBeUsed) {
  fs::create_directory(directory_);
  AllowOthersToWrite(directory_);

  const nlohmann::ordered_json store = store_.Support(NoHurry())["store"];

  EXPECT_EQ(store["available"], false);
  EXPECT_EQ(store["code"], "store_insecure");
  EXPECT_NE(store["message"].get<std::string>().find("can be written by other users"),
            std::string::npos);
}

// Several processes. Windows cannot fork; there, tests start node.exe instead.

#if !defined(_WIN32)

// Creates, signs with, deletes and lists keys. Returns 0 if everything worked.
int Churn(DeviceKeyStore& store) {
  constexpr int kRounds = 40;
  const auto is_error = [](const ListedKey& key) { return key.error.has_value(); };
  try {
    for (int round = 0; round < kRounds; ++round) {
      const KeyId key_id =
          store.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(), Commit)
              .key_id;
      store.Sign(store.Prepare({key_id, NewConnection()}), NoHurry());
      const std::vector<ListedKey> keys = store.List();
      if (std::any_of(keys.begin(), keys.end(), is_error)) return 2;
      if (std::none_of(keys.begin(), keys.end(),
                       [&](const ListedKey& key) { return key.key_id == key_id; })) {
        return 3;
      }
      if (round % 2 == 0) store.Delete(key_id, NoHurry());
    }
  } catch (const std::exception&) {
    return 1;
  }
  return 0;
}

TEST_F(DeviceKeyStoreTest, SharesItsDirectoryWithOtherProcesses) {
  constexpr int kProcesses = 3;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(Churn(store_));
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }

  EXPECT_EQ(store_.List().size(), kProcesses * 20u);
  EXPECT_EQ(CountEntries(directory_), kProcesses * 20u);
}

TEST_F(DeviceKeyStoreTest, OneOfSeveralProcessesBindsAKey) {
  constexpr int kProcesses = 4;
  for (int round = 0; round < 10; ++round) {
    const KeyId key_id = CreateUnbound();
    const auto enroll_it = [&](const std::string& account) {
      try {
        Enroll(store_, key_id, account);
        return 0;
      } catch (const DeviceKeyError& error) {
        return error.code() == ErrorCode::kBindingMismatch ? 1 : 2;
      }
    };
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) _exit(enroll_it("account-" + std::to_string(i)));
      children.push_back(child);
    }
    for (int i = 0; i < kProcesses; ++i) {
      int status = -1;
      ASSERT_EQ(waitpid(children[i], &status, 0), children[i]);
      ASSERT_TRUE(WIFEXITED(status));
      const bool won = AccountOf(key_id) == "account-" + std::to_string(i);
      EXPECT_EQ(WEXITSTATUS(status), won ? 0 : 1);
    }
    EXPECT_NE(AccountOf(key_id), "");
  }
}

TEST_F(DeviceKeyStoreTest, HasOnlyCompleteRecordsAfterAProcessIsKilled) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    while (true) Create(store_);
  }
  while (store_.List().size() < 10) std::this_thread::yield();
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);

  for (const ListedKey& key : store_.List()) EXPECT_FALSE(key.error) << key.error->what();
}

TEST_F(DeviceKeyStoreTest, OneOfTwoProcessesDeletesAKey) {
  const KeyId key_id = Create(store_).key_id;
  const auto delete_it = [&] {
    try {
      store_.Delete(key_id, NoHurry());
      return 0;
    } catch (const DeviceKeyError& error) {
      return error.code() == ErrorCode::kKeyNotFound ? 1 : 2;
    }
  };
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(delete_it());
  const int here = delete_it();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);

  EXPECT_EQ(here + WEXITSTATUS(status), 1);
  EXPECT_TRUE(store_.List().empty());
}

TEST_F(DeviceKeyStoreTest, AKeyStaysUnboundWhenAProcessDiesBetweenHardwareAndRecord) {
  const KeyId key_id = CreateUnbound();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    provider_->after_bind = [] { raise(SIGKILL); };
    Enroll(store_, key_id);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));

  EXPECT_EQ(AccountOf(key_id), "");
  EXPECT_NO_THROW(Enroll(store_, key_id, "account-2"));
}
#endif

// DPoP proofs.

class DpopKeyStoreTest : public DeviceKeyStoreTest {
 protected:
  CreateResponse CreateDpop(std::vector<std::string> origins = {"https://a.example"}) {
    return store_.CreateDpopKey({.client_id = "client-1", .origins = std::move(origins)}, NoHurry(),
                                Commit);
  }

  static DpopClaims Claims(const std::string& htu = "https://a.example/token") {
    return {.htm = "POST", .htu = htu, .nonce = {}, .ath = {}, .jti = {}};
  }

  // Verifies the signature of a proof and returns its claims.
  static nlohmann::json Verified(const CreateResponse& key, const std::string& proof) {
    const size_t end = proof.rfind('.');
    const size_t dot = proof.find('.');
    const Bytes raw = *Base64UrlDecode(proof.substr(end + 1));
    EXPECT_EQ(raw.size(), 64u);
    const ByteView halves = raw;
    EXPECT_TRUE(P256PublicKey::FromSpki(key.public_key_spki_der)
                    .Verify(Sha256(AsBytes(proof.substr(0, end))),
                            EcdsaDerFromRaw(halves.first(32), halves.last(32))));
    const Bytes claims = *Base64UrlDecode(proof.substr(dot + 1, end - dot - 1));
    return nlohmann::json::parse(claims);
  }
};

TEST_F(DpopKeyStoreTest, SignsAProofThatVerifies) {
  const CreateResponse key = CreateDpop();

  const nlohmann::json claims = Verified(key, store_.SignDpop({key.key_id, Claims()}, NoHurry()));

  EXPECT_EQ(claims.at("htm"), "POST");
  EXPECT_EQ(claims.at("htu"), "https://a.example/token");
  EXPECT_EQ(claims.at("iat"), kNow);
}

TEST_F(DpopKeyStoreTest, EachProofHasARandomJtiOf128Bits) {
  const CreateResponse key = CreateDpop();
  std::set<std::string> seen;

  for (int i = 0; i < 20; ++i) {
    const std::string jti =
        Verified(key, store_.SignDpop({key.key_id, Claims()}, NoHurry())).at("jti");
    EXPECT_EQ(Base64UrlDecode(jti)->size(), 16u);
    seen.insert(jti);
  }

  EXPECT_EQ(seen.size(), 20u);
}

TEST_F(DpopKeyStoreTest, RecordsTheOriginsSortedWithoutDuplicates) {
  const CreateResponse key =
      CreateDpop({"https://b.example", "https://a.example", "https://b.example"});

  EXPECT_EQ(RecordStore(directory_).Read(key.key_id)->record().binding,
            KeyBinding(DpopBinding{"client-1", {"https://a.example", "https://b.example"}}));
  EXPECT_NO_THROW(store_.SignDpop({key.key_id, Claims("https://b.example/")}, NoHurry()));
}

TEST_F(DpopKeyStoreTest, RefusesAnotherOriginBeforeItUsesHardware) {
  const CreateResponse key = CreateDpop();

  ExpectError(
      ErrorCode::kBindingMismatch,
      [&] {
        store_.SignDpop({key.key_id, Claims("https://b.example/token")}, NoHurry());
      },
      "htu: ");
  EXPECT_EQ(provider_->signatures, 0);
}

TEST_F(DpopKeyStoreTest, RefusesBadClaimsBeforeItReadsTheRecord) {
  ExpectError(
      ErrorCode::kInvalidParams,
      [&] {
        store_.SignDpop(
            {KeyId::Generate(ProtectionClass::kHardwareTpm), Claims("https://a.example")},
            NoHurry());
      },
      "htu: ");
}

TEST_F(DpopKeyStoreTest, AKeyForDpopRefusesPayloads) {
  const CreateResponse key = CreateDpop();

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Sign(store_, key.key_id); }, "keyId: ");
  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Enroll(store_, key.key_id); }, "keyId: ");
  EXPECT_EQ(provider_->signatures, 0);
  EXPECT_EQ(provider_->bindings, 0);
}

TEST_F(DpopKeyStoreTest, AKeyForPayloadsRefusesDpopProofs) {
  for (const KeyId& key_id : {Create(store_).key_id, CreateUnbound()}) {
    ExpectError(
        ErrorCode::kBindingMismatch,
        [&] {
          store_.SignDpop({key_id, Claims()}, NoHurry());
        },
        "keyId: ");
  }
  EXPECT_EQ(provider_->signatures, 0);
}

TEST_F(DpopKeyStoreTest, VerifiesTheHardwaresSignature) {
  const auto provider = std::make_shared<WrongKeyProvider>(2);
  DeviceKeyStore store = Open({provider});
  const CreateResponse key = store.CreateDpopKey(
      {.client_id = "client-1", .origins = {"https://a.example"}}, NoHurry(), Commit);

  ExpectError(ErrorCode::kCryptoError, [&] { store.SignDpop({key.key_id, Claims()}, NoHurry()); });
  EXPECT_NO_THROW(Verified(key, store.SignDpop({key.key_id, Claims()}, NoHurry())));
}

TEST_F(DpopKeyStoreTest, AKeyThatIsDeletedMeanwhileIsNotFound) {
  const auto provider = std::make_shared<DeletedMeanwhileProvider>();
  DeviceKeyStore store = Open({provider});
  const KeyId key_id =
      store
          .CreateDpopKey({.client_id = "client-1", .origins = {"https://a.example"}}, NoHurry(),
                         Commit)
          .key_id;
  std::thread deleting;
  provider->on_sign = [&] { deleting = RemoveRecordSoon(key_id); };

  ExpectError(
      ErrorCode::kKeyNotFound,
      [&] {
        store.SignDpop({key_id, Claims()}, NoHurry());
      },
      "it was deleted");
  deleting.join();
}

}  // namespace
}  // namespace device_key
