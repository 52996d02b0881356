#include "keystore/pending_keys.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <set>
#include <thread>

#include "keystore/device_key_store.h"
#include "keystore/test_providers.h"
#include "platform/expect_error.h"
#include "platform/temporary_directory.h"

namespace device_key {
namespace {

const nlohmann::json kFirst = {{"token", "first"}};

// Keeps its keys, and can fail after it has made one.
class KeepingProvider : public SoftwareProvider {
 public:
  using SoftwareProvider::SoftwareProvider;
  bool keeps_keys() const override { return true; }
  nlohmann::json Locate(const OperationLimits&) override {
    if (token.empty()) throw DeviceKeyError(ErrorCode::kTokenMissing, "it is out");
    return {{"token", token}};
  }
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override {
    if (on_create) on_create();
    ProviderKey key = SoftwareProvider::Create(id, auth, limits);
    if (error) throw *error;
    return key;
  }
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override {
    if (on_delete_of) on_delete_of(id);
    SoftwareProvider::Delete(id, handle, limits);
  }
  std::function<void()> on_create;
  std::function<void(const KeyId&)> on_delete_of;
  std::optional<DeviceKeyError> error;
  std::string token = "first";  // that is inserted; empty: none
};

class PendingKeysTest : public testing::Test {
 protected:
  size_t Files(const std::string& suffix) const {
    size_t count = 0;
    if (!std::filesystem::exists(path_)) return 0;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      count += entry.path().extension() == suffix;
    }
    return count;
  }

  CreateResponse Create() {
    DeviceKeyStore store({.directory = path_, .now = [&] { return now_; }}, {provider_});
    return store.Create({.account_user_id = "a", .client_id = "c"}, NoHurry(), [] { return true; });
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "keys";
  const std::shared_ptr<KeepingProvider> provider_ = std::make_shared<KeepingProvider>();
  int64_t now_ = SystemUnixSeconds();
};

TEST_F(PendingKeysTest, AKeyIsAnnouncedOnlyWhileItIsMade) {
  size_t announced = 0;
  provider_->on_create = [&] { announced = Files(".pending"); };
  Create();
  EXPECT_EQ(announced, 1u);
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, AProviderThatDoesNotKeepKeysAnnouncesNone) {
  const auto provider = std::make_shared<SoftwareProvider>();
  DeviceKeyStore store({.directory = path_}, {provider});
  size_t announced = 0;
  store.Create({.account_user_id = "a", .client_id = "c"}, NoHurry(), [&] {
    announced = Files(".pending");
    return true;
  });
  EXPECT_EQ(announced, 0u);
}

TEST_F(PendingKeysTest, AnErrorThatExcludesAKeyWithdrawsTheAnnouncement) {
  provider_->on_create = [] { throw DeviceKeyError(ErrorCode::kPinRequired, "PIN"); };
  ExpectError(
      ErrorCode::kPinRequired, [&] { Create(); }, "PIN");
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, AKeyThatAnErrorHidIsDeletedByALaterCreation) {
  provider_->error = DeviceKeyError(ErrorCode::kDeviceTimeout, "too slow");
  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { Create(); }, "too slow");
  EXPECT_EQ(provider_->keys(), 1u);
  EXPECT_EQ(Files(".pending"), 1u);
  provider_->error.reset();

  Create();  // the process that made it may still be working on it
  EXPECT_EQ(provider_->keys(), 2u);

  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  Create();
  EXPECT_EQ(provider_->keys(), 2u);
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, ARecordedKeyIsNeverSwept) {
  const CreateResponse key = Create();
  PendingKeys(path_).Announce(*provider_, key.key_id,
                              kFirst);  // its process died before it withdrew the announcement
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  Create();
  EXPECT_EQ(provider_->keys(), 2u);
  EXPECT_EQ(Files(".pending"), 0u);
}

// A recursive copy of the nested arrays would overflow the stack.
TEST_F(PendingKeysTest, ADamagedFileDoesNotPreventACreation) {
  const CreateResponse key = Create();
  const std::string name = key.key_id.str() + ".pending";
  const std::string nested = std::string(120'000, '[') + std::string(120'000, ']');
  for (const std::string& text :
       {"{\"version\":1,\"provider\":" + nested + "}", nested, std::string("{"), std::string()}) {
    WriteFile(path_ / name, text);
    now_ += PendingKeys::kAbandonedAfterSeconds + 1;
    Create();
  }
}

TEST_F(PendingKeysTest, AStoreSweepsAtMostOnceAnHour) {
  DeviceKeyStore store({.directory = path_, .now = [&] { return now_; }}, {provider_});
  const auto create = [&] {
    store.Create({.account_user_id = "a", .client_id = "c"}, NoHurry(), [] { return true; });
  };
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;  // after anything that is written now
  create();
  PendingKeys(path_).Announce(*provider_, KeyId::Generate(provider_->protection_class()), kFirst);
  create();
  EXPECT_EQ(Files(".pending"), 1u);
  now_ += PendingKeys::kSweepIntervalSeconds;
  create();
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, AKeyThatCannotBeDeletedNowIsLeftForLater) {
  provider_->error = DeviceKeyError(ErrorCode::kDeviceTimeout, "too slow");
  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { Create(); }, "too slow");
  provider_->error.reset();
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  provider_->on_delete = [] { throw DeviceKeyError(ErrorCode::kTokenMissing, "it is out"); };
  Create();
  EXPECT_EQ(Files(".pending"), 1u);
}

TEST_F(PendingKeysTest, AWrongPinDuringASweepIsNotAskedForAgain) {
  provider_->error = DeviceKeyError(ErrorCode::kDeviceTimeout, "too slow");
  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { Create(); }, "too slow");
  provider_->error.reset();
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  provider_->on_delete = [] { throw DeviceKeyError(ErrorCode::kPinIncorrect, "wrong"); };
  ExpectError(
      ErrorCode::kPinIncorrect, [&] { Create(); }, "wrong");
  EXPECT_EQ(provider_->keys(), 1u);
  EXPECT_EQ(Files(".pending"), 1u);
}

TEST_F(PendingKeysTest, AnotherProvidersKeyIsNotSwept) {
  const KeyId key_id = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
  PendingKeys(path_).Announce(
      KeepingProvider(ProtectionClass::kOsProtectedNonextractable, "another"), key_id, kFirst);
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  Create();
  EXPECT_EQ(Files(".pending"), 1u);
}

TEST_F(PendingKeysTest, AKeyOnAnotherTokenIsSweptOnlyThere) {
  provider_->error = DeviceKeyError(ErrorCode::kDeviceTimeout, "too slow");
  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { Create(); }, "too slow");
  provider_->error.reset();
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;

  provider_->token = "second";
  Create();
  EXPECT_EQ(Files(".pending"), 1u);
  EXPECT_EQ(provider_->keys(), 2u);

  provider_->token = "first";
  Create();
  EXPECT_EQ(Files(".pending"), 0u);
  EXPECT_EQ(provider_->keys(), 2u);
}

TEST_F(PendingKeysTest, AChangedTokenIsSweptImmediately) {
  DeviceKeyStore store({.directory = path_, .now = [&] { return now_; }}, {provider_});
  const auto create = [&] {
    store.Create({.account_user_id = "a", .client_id = "c"}, NoHurry(), [] { return true; });
  };
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  create();
  PendingKeys(path_).Announce(*provider_, KeyId::Generate(provider_->protection_class()),
                              {{"token", "second"}});
  provider_->token = "second";
  create();
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, AMissingTokenLeavesNoAnnouncement) {
  provider_->token = "";
  for (int i = 0; i < 100; ++i) {
    ExpectError(
        ErrorCode::kTokenMissing, [&] { Create(); }, "it is out");
  }
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, ALongSweepContinuesAtTheNextCreation) {
  constexpr int kKeys = 20;
  DeviceKeyStore store({.directory = path_, .now = [&] { return now_; }}, {provider_});
  const auto create = [&] {
    store.Create({.account_user_id = "a", .client_id = "c"}, NoHurry(), [] { return true; });
  };
  const PendingKeys pending(path_);
  for (int i = 0; i < kKeys; ++i) {
    pending.Announce(*provider_, KeyId::Generate(provider_->protection_class()), kFirst);
  }
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  provider_->on_delete = [] { std::this_thread::sleep_for(std::chrono::milliseconds(60)); };

  create();
  EXPECT_GE(Files(".pending"), kKeys - 2u);
  provider_->on_delete = nullptr;
  for (int i = 0; i < kKeys && Files(".pending") > 0; ++i) create();
  EXPECT_EQ(Files(".pending"), 0u);
}

TEST_F(PendingKeysTest, ProcessesThatMakeOneKeyReachEveryFileOfALongSweep) {
  const PendingKeys pending(path_);
  // Evenly spread, as random key ids are.
  const std::string prefix = KeyId::Generate(provider_->protection_class()).str().substr(0, 7);
  for (const char first : {'-', 'A', 'K', 'V', 'e', 'o'}) {
    const auto id = KeyId::Parse(prefix + first + std::string(42, 'A'));
    pending.Announce(*provider_, *id, kFirst);
  }
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  std::set<std::string> reached;
  provider_->on_delete_of = [&](const KeyId& id) {
    reached.insert(id.str());
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable, "it stays");
  };

  for (int i = 0; i < 200 && reached.size() < 6; ++i) Create();
  EXPECT_EQ(reached.size(), 6u);
}

}  // namespace
}  // namespace device_key
