#include "keystore/async_device_key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <ctime>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "keystore/test_providers.h"
#include "keystore/test_records.h"
#include "platform/expect_error.h"
#include "platform/temporary_directory.h"
#include "protocol/encode.h"

namespace device_key {
namespace {

using std::chrono::milliseconds;

// Threads wait at the gate until it is opened.
class Gate {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void AwaitArrivals(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrived_ = 0;
};

// Works only once its gate is open, and ignores interrupts, like a driver that hangs in the kernel.
class BlockingProvider : public SoftwareProvider {
 public:
  Availability Probe(const OperationLimits& limits) override {
    gate.Pass();
    return SoftwareProvider::Probe(limits);
  }
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override {
    ProviderKey key = SoftwareProvider::Create(id, auth, limits);
    gate.Pass();
    return key;
  }

  Gate gate;
};

// Waits until it is interrupted.
class WaitingProvider : public SoftwareProvider {
 public:
  Availability Probe(const OperationLimits& limits) override {
    ++waiting;
    while (!limits.interrupt->triggered()) std::this_thread::yield();
    ++interrupted;
    throw DeviceKeyError(ErrorCode::kClosed, "interrupted");
  }

  std::atomic<int> waiting = 0;
  std::atomic<int> interrupted = 0;
};

// All settlements, in order.
class Settlements {
 public:
  std::function<void(Settlement)> Listener() {
    return [this](Settlement settlement) {
      const std::lock_guard lock(mutex_);
      all_.push_back(std::move(settlement));
      changed_.notify_all();
    };
  }

  Settlement Await(uint64_t request) {
    std::unique_lock lock(mutex_);
    const Settlement* found = nullptr;
    changed_.wait(lock, [&] {
      for (const Settlement& settlement : all_) {
        if (settlement.request == request) found = &settlement;
      }
      return found != nullptr;
    });
    return *found;
  }

  // Returns the result's JSON, or records a failed expectation.
  nlohmann::json Result(uint64_t request) {
    const Settlement settlement = Await(request);
    if (settlement.error.has_value()) {
      ADD_FAILURE() << settlement.error->what();
      return {};
    }
    return nlohmann::json::parse(settlement.result);
  }

  ErrorCode Error(uint64_t request) {
    const Settlement settlement = Await(request);
    EXPECT_TRUE(settlement.error.has_value()) << settlement.result;
    EXPECT_EQ(settlement.result, "");
    return settlement.error.has_value() ? settlement.error->code() : ErrorCode::kCryptoError;
  }

  std::vector<uint64_t> Requests() const {
    const std::lock_guard lock(mutex_);
    std::vector<uint64_t> requests;
    for (const Settlement& settlement : all_) requests.push_back(settlement.request);
    return requests;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Settlement> all_;
};

constexpr char kCreateParams[] = R"({"accountUserId":"account-1","clientId":"client-1"})";

class AsyncDeviceKeyStoreTest : public testing::Test {
 protected:
  std::unique_ptr<AsyncDeviceKeyStore> Open(std::shared_ptr<KeyProvider> provider,
                                            size_t queue_limit = 100,
                                            milliseconds timeout = std::chrono::minutes(1)) {
    OpenOptions options;
    options.timeout = timeout;
    options.directory = directory_ / "keys";
    options.queue_limit = queue_limit;
    return std::make_unique<AsyncDeviceKeyStore>(
        options, std::vector<std::shared_ptr<KeyProvider>>{std::move(provider)},
        settlements_.Listener());
  }

  static std::string KeyIdParams(const std::string& key_id) {
    return nlohmann::json{{"keyId", key_id}}.dump();
  }

  static std::string SignParamsFor(const std::string& key_id) {
    return nlohmann::json{{"keyId", key_id},
                          {"payload",
                           {{"type", "remoteControlClientConnection"},
                            {"nonce", Base64UrlEncode(Bytes(32, 1))},
                            {"audience", "remote_control_client_websocket"},
                            {"sessionId", "session-1"},
                            {"targetOrigin", "https://chatgpt.com"},
                            {"targetPath", "/api/codex/remote/control/client"},
                            {"accountUserId", "account-1"},
                            {"clientId", "client-1"},
                            {"tokenExpiresAt", std::time(nullptr) + 600},
                            {"tokenSha256Base64url", Base64UrlEncode(Bytes(32, 2))},
                            {"scopes", {"remote_control_controller_websocket"}}}}}
        .dump();
  }

  size_t Records() const {
    return std::filesystem::exists(directory_ / "keys") ? CountEntries(directory_ / "keys") : 0;
  }

  const TemporaryDirectory directory_;
  Settlements settlements_;
  const std::shared_ptr<SoftwareProvider> software_ = std::make_shared<SoftwareProvider>();
  const std::shared_ptr<BlockingProvider> blocking_ = std::make_shared<BlockingProvider>();
};

// Results.

TEST_F(AsyncDeviceKeyStoreTest, ReturnsTheJsonOfTheWireTypes) {
  const auto store = Open(software_);

  const nlohmann::json created = settlements_.Result(store->Create(kCreateParams));
  const std::string key_id = created.at("keyId");

  EXPECT_EQ(created.at("algorithm"), "ecdsa_p256_sha256");
  EXPECT_EQ(created.at("protectionClass"), "hardware_tpm");
  EXPECT_EQ(settlements_.Result(store->Public(KeyIdParams(key_id))), created);
  const nlohmann::json signed_payload = settlements_.Result(store->Sign(SignParamsFor(key_id)));
  EXPECT_EQ(signed_payload.at("algorithm"), "ecdsa_p256_sha256");
  EXPECT_TRUE(signed_payload.contains("signatureDerBase64"));
  EXPECT_TRUE(signed_payload.contains("signedPayloadBase64"));
  const nlohmann::json listed = settlements_.Result(store->List());
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].at("keyId"), key_id);
  EXPECT_EQ(listed[0].at("accountUserId"), "account-1");
  EXPECT_EQ(settlements_.Result(store->Support()).at("hardware"), true);
  EXPECT_EQ(settlements_.Result(store->Delete(KeyIdParams(key_id))), nlohmann::json::object());
  EXPECT_EQ(settlements_.Result(store->List()), nlohmann::json::array());
}

TEST_F(AsyncDeviceKeyStoreTest, SettlesWithTheErrorThatWasThrown) {
  const auto store =
      Open(std::make_shared<FailingProvider>(ErrorCode::kTpmLockout, "the TPM is locked"));

  const Settlement settlement = settlements_.Await(store->Create(kCreateParams));

  ASSERT_TRUE(settlement.error.has_value());
  EXPECT_EQ(settlement.error->code(), ErrorCode::kTpmLockout);
  EXPECT_STREQ(settlement.error->what(), "the TPM is locked");
}

TEST_F(AsyncDeviceKeyStoreTest, ListsARecordThatCannotBeReadWithItsError) {
  const auto store = Open(software_);
  const nlohmann::json created = settlements_.Result(store->Create(kCreateParams));
  const std::string key_id = created.at("keyId");
  WriteFile(directory_ / "keys" / (key_id + ".json"), "\xFF{");

  const nlohmann::json listed = settlements_.Result(store->List());

  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].at("keyId"), key_id);
  EXPECT_EQ(listed[0].at("error").at("code"), "store_corrupt");
}

// Errors that are thrown on the calling thread.

TEST_F(AsyncDeviceKeyStoreTest, ThrowsImmediatelyForBadParams) {
  const auto store = Open(software_);

  for (const char* params : {"", "[]", "{", "{}", R"({"accountUserId":"","clientId":"c"})"}) {
    ExpectError(ErrorCode::kInvalidParams, [&] { store->Create(params); });
  }
  for (const char* params : {"", "{}", R"({"keyId":"../etc/passwd"})", R"({"keyId":7})"}) {
    ExpectError(ErrorCode::kInvalidParams, [&] { store->Public(params); });
    ExpectError(ErrorCode::kInvalidParams, [&] { store->Delete(params); });
    ExpectError(ErrorCode::kInvalidParams, [&] { store->Sign(params); });
  }
  EXPECT_TRUE(settlements_.Requests().empty());
}

TEST_F(AsyncDeviceKeyStoreTest, ThrowsImmediatelyForABadPayload) {
  const auto store = Open(software_);
  auto params =
      nlohmann::json::parse(SignParamsFor(KeyId::Generate(ProtectionClass::kHardwareTpm).str()));
  params["payload"]["tokenExpiresAt"] = 1;

  ExpectError(ErrorCode::kInvalidPayload, [&] { store->Sign(params.dump()); });
}

// Order.

TEST_F(AsyncDeviceKeyStoreTest, SettlesEveryRequestOnce) {
  const auto store = Open(blocking_);
  std::vector<uint64_t> requests;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(i % 3 == 0 ? store->Support() : store->Create(kCreateParams));
  }
  blocking_->gate.Open();
  requests.push_back(store->Close());
  settlements_.Await(requests.back());

  std::vector<uint64_t> settled = settlements_.Requests();
  EXPECT_EQ(settled.size(), requests.size());
  std::sort(settled.begin(), settled.end());
  EXPECT_EQ(settled, requests);
}

TEST_F(AsyncDeviceKeyStoreTest, SettlesHardwareRequestsInTheOrderOfSubmission) {
  const auto store = Open(blocking_);
  std::vector<uint64_t> requests;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(i % 3 == 0 ? store->Support() : store->Create(kCreateParams));
  }

  blocking_->gate.Open();

  settlements_.Await(requests.back());
  EXPECT_EQ(settlements_.Requests(), requests);
}

TEST_F(AsyncDeviceKeyStoreTest, RecordsDoNotWaitForHardware) {
  const auto store = Open(blocking_);
  const uint64_t hung = store->Support();
  blocking_->gate.AwaitArrivals(1);

  EXPECT_EQ(settlements_.Result(store->List()), nlohmann::json::array());

  blocking_->gate.Open();
  settlements_.Await(hung);
}

TEST_F(AsyncDeviceKeyStoreTest, RefusesRequestsWhenItsQueueIsFull) {
  const auto store = Open(blocking_, 2);
  const uint64_t running = store->Support();
  blocking_->gate.AwaitArrivals(1);
  store->Support();
  const uint64_t last = store->Support();

  ExpectError(ErrorCode::kQueueFull, [&] { store->Support(); });

  blocking_->gate.Open();
  settlements_.Await(last);
  EXPECT_EQ(settlements_.Requests().size(), 3u);
  EXPECT_NO_THROW(settlements_.Result(store->Support()));
  EXPECT_EQ(settlements_.Requests().front(), running);
}

// Time limits, which start with the call.

TEST_F(AsyncDeviceKeyStoreTest, ARequestThatTimesOutInTheQueueNeverReachesTheHardware) {
  // Long enough for the first request to reach the gate on a busy machine.
  const auto store = Open(blocking_, 100, milliseconds(1000));
  const uint64_t running = store->Support();
  blocking_->gate.AwaitArrivals(1);
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(store->Create(kCreateParams));
  std::this_thread::sleep_for(milliseconds(1010));
  blocking_->gate.Open();

  settlements_.Await(running);
  for (const uint64_t request : waiting) {
    EXPECT_EQ(settlements_.Error(request), ErrorCode::kDeviceTimeout);
  }
  EXPECT_EQ(blocking_->creations, 0);
  EXPECT_EQ(Records(), 0u);
  EXPECT_NE(std::string(settlements_.Await(waiting[0]).error->what()).find("timeoutMs"),
            std::string::npos);
}

TEST_F(AsyncDeviceKeyStoreTest, TimeInTheQueueCountsAgainstTheTimeout) {
  class DeadlineProvider : public BlockingProvider {
   public:
    void Delete(const KeyId& id, const nlohmann::json& handle,
                const OperationLimits& limits) override {
      deadline = limits.deadline;
      SoftwareProvider::Delete(id, handle, limits);
    }
    std::chrono::steady_clock::time_point deadline;
  };
  const auto provider = std::make_shared<DeadlineProvider>();
  provider->gate.Open();
  const auto store = Open(provider);
  const std::string key_id = settlements_.Result(store->Create(kCreateParams)).at("keyId");

  const auto called = std::chrono::steady_clock::now();
  const uint64_t deleting = store->Delete(KeyIdParams(key_id));
  const auto returned = std::chrono::steady_clock::now();
  settlements_.Result(deleting);

  EXPECT_GE(provider->deadline, called + std::chrono::minutes(1));
  EXPECT_LE(provider->deadline, returned + std::chrono::minutes(1));
}

// Canceling.

TEST_F(AsyncDeviceKeyStoreTest, ACanceledQueuedRequestNeverRuns) {
  const auto store = Open(blocking_);
  const uint64_t running = store->Support();
  blocking_->gate.AwaitArrivals(1);
  const uint64_t waiting = store->Create(kCreateParams);

  EXPECT_TRUE(store->Cancel(waiting));
  EXPECT_FALSE(store->Cancel(waiting));

  blocking_->gate.Open();
  const uint64_t close = store->Close();
  settlements_.Await(close);
  EXPECT_EQ(settlements_.Requests(), (std::vector<uint64_t>{running, close}));
  EXPECT_EQ(blocking_->creations, 0);
}

TEST_F(AsyncDeviceKeyStoreTest, CancelingFreesAPlaceInTheQueue) {
  const auto store = Open(blocking_, 1);
  store->Support();
  blocking_->gate.AwaitArrivals(1);
  const uint64_t waiting = store->Support();
  ExpectError(ErrorCode::kQueueFull, [&] { store->Support(); });

  store->Cancel(waiting);

  EXPECT_NO_THROW(store->Support());
  blocking_->gate.Open();
}

TEST_F(AsyncDeviceKeyStoreTest, CancelingARunningCreationLeavesNoKey) {
  const auto store = Open(blocking_);
  const uint64_t create = store->Create(kCreateParams);
  blocking_->gate.AwaitArrivals(1);
  EXPECT_EQ(blocking_->keys(), 1u);

  EXPECT_TRUE(store->Cancel(create));

  blocking_->gate.Open();
  const uint64_t close = store->Close();
  settlements_.Await(close);
  EXPECT_EQ(settlements_.Requests(), std::vector<uint64_t>{close});
  EXPECT_EQ(blocking_->keys(), 0u);
  EXPECT_EQ(Records(), 0u);
}

TEST_F(AsyncDeviceKeyStoreTest, ARunningRequestThatIsCanceledIsNotSettled) {
  const auto store = Open(blocking_);
  const uint64_t support = store->Support();
  blocking_->gate.AwaitArrivals(1);

  EXPECT_TRUE(store->Cancel(support));

  blocking_->gate.Open();
  const uint64_t close = store->Close();
  settlements_.Await(close);
  EXPECT_EQ(settlements_.Requests(), std::vector<uint64_t>{close});
}

TEST_F(AsyncDeviceKeyStoreTest, ASettledRequestCannotBeCanceled) {
  const auto store = Open(software_);
  const uint64_t create = store->Create(kCreateParams);
  settlements_.Await(create);

  EXPECT_FALSE(store->Cancel(create));
  EXPECT_EQ(Records(), 1u);
}

TEST_F(AsyncDeviceKeyStoreTest, AnUnknownRequestCannotBeCanceled) {
  EXPECT_FALSE(Open(software_)->Cancel(1));
}

// However late the cancel is: either the key exists and is settled, or neither.
TEST_F(AsyncDeviceKeyStoreTest, ACanceledCreationIsEitherSettledOrUndone) {
  const auto store = Open(software_, 1000);
  size_t canceled = 0;
  for (int i = 0; i < 200; ++i) {
    const uint64_t create = store->Create(kCreateParams);
    for (int spin = 0; spin < i * 20; ++spin) std::this_thread::yield();
    if (store->Cancel(create)) ++canceled;
  }
  settlements_.Await(store->Close());

  EXPECT_EQ(settlements_.Requests().size() - 1, 200 - canceled);
  EXPECT_EQ(software_->keys(), 200 - canceled);
  EXPECT_EQ(Records(), 200 - canceled);
}

// Closing.

TEST_F(AsyncDeviceKeyStoreTest, CloseSettlesQueuedRequestsBeforeItReturns) {
  const auto store = Open(blocking_);
  const uint64_t running = store->Support();
  blocking_->gate.AwaitArrivals(1);
  const uint64_t waiting = store->Create(kCreateParams);

  const uint64_t close = store->Close();

  EXPECT_EQ(settlements_.Requests(), std::vector<uint64_t>{waiting});
  EXPECT_EQ(settlements_.Error(waiting), ErrorCode::kClosed);
  blocking_->gate.Open();
  settlements_.Await(close);
  EXPECT_EQ(settlements_.Requests(), (std::vector<uint64_t>{waiting, running, close}));
  EXPECT_EQ(settlements_.Result(running).at("hardware"), true);
}

TEST_F(AsyncDeviceKeyStoreTest, CloseReleasesTheProviders) {
  auto provider = std::make_shared<SoftwareProvider>();
  const std::weak_ptr<SoftwareProvider> watched = provider;
  const auto store = Open(std::move(provider));
  settlements_.Result(store->Support());

  settlements_.Await(store->Close());

  EXPECT_TRUE(watched.expired());
}

TEST_F(AsyncDeviceKeyStoreTest, AStoreThatWasNeverUsedCanBeClosed) {
  const auto store = Open(software_);

  EXPECT_EQ(settlements_.Result(store->Close()), nlohmann::json::object());
  EXPECT_EQ(Records(), 0u);
}

TEST_F(AsyncDeviceKeyStoreTest, AClosedStoreRefusesEverything) {
  const auto store = Open(software_);
  const std::string key_id = KeyId::Generate(ProtectionClass::kHardwareTpm).str();
  settlements_.Await(store->Close());

  ExpectError(
      ErrorCode::kClosed, [&] { store->Create(kCreateParams); }, "open another");
  ExpectError(ErrorCode::kClosed, [&] { store->Public(KeyIdParams(key_id)); });
  ExpectError(ErrorCode::kClosed, [&] { store->Sign(SignParamsFor(key_id)); });
  ExpectError(ErrorCode::kClosed, [&] { store->Delete(KeyIdParams(key_id)); });
  ExpectError(ErrorCode::kClosed, [&] { store->List(); });
  ExpectError(ErrorCode::kClosed, [&] { store->Support(); });
  ExpectError(ErrorCode::kClosed, [&] { store->Close(); });
  EXPECT_FALSE(store->Cancel(1));
}

TEST_F(AsyncDeviceKeyStoreTest, ARunningRequestCanStillBeCanceledAfterClose) {
  const auto store = Open(blocking_);
  const uint64_t create = store->Create(kCreateParams);
  blocking_->gate.AwaitArrivals(1);
  const uint64_t close = store->Close();

  EXPECT_TRUE(store->Cancel(create));

  blocking_->gate.Open();
  settlements_.Await(close);
  EXPECT_EQ(settlements_.Requests(), std::vector<uint64_t>{close});
  EXPECT_EQ(Records(), 0u);
}

TEST_F(AsyncDeviceKeyStoreTest, AFullQueueCanBeClosed) {
  const auto store = Open(blocking_, 1);
  store->Support();
  blocking_->gate.AwaitArrivals(1);
  const uint64_t waiting = store->Support();

  const uint64_t close = store->Close();

  EXPECT_EQ(settlements_.Error(waiting), ErrorCode::kClosed);
  blocking_->gate.Open();
  settlements_.Await(close);
}

// Abandoning.

TEST_F(AsyncDeviceKeyStoreTest, AbandonInterruptsAWaitingProvider) {
  const auto provider = std::make_shared<WaitingProvider>();
  const auto store = Open(provider);
  store->Support();
  while (provider->waiting == 0) std::this_thread::yield();

  store->Abandon(milliseconds(50));

  EXPECT_EQ(provider->interrupted, 1);
  EXPECT_TRUE(settlements_.Requests().empty());
}

TEST_F(AsyncDeviceKeyStoreTest, AbandonReturnsWhenAProviderHangs) {
  auto store = Open(blocking_);
  store->Create(kCreateParams);
  store->Support();
  blocking_->gate.AwaitArrivals(1);

  store->Abandon(milliseconds(20));  // must return although the task hangs

  blocking_->gate.Open();
  store.reset();
  while (blocking_.use_count() > 1) std::this_thread::yield();  // until the thread has ended
  EXPECT_TRUE(settlements_.Requests().empty());
}

TEST_F(AsyncDeviceKeyStoreTest, DestructionReturnsWhenAProviderHangs) {
  auto store = Open(blocking_);
  store->Support();
  blocking_->gate.AwaitArrivals(1);

  store.reset();

  blocking_->gate.Open();
  while (blocking_.use_count() > 1) std::this_thread::yield();
  EXPECT_TRUE(settlements_.Requests().empty());
}

TEST_F(AsyncDeviceKeyStoreTest, AbandonAfterCloseSettlesNoMoreRequests) {
  auto store = Open(blocking_);
  store->Support();
  blocking_->gate.AwaitArrivals(1);
  store->Close();

  store->Abandon(milliseconds(20));

  blocking_->gate.Open();
  store.reset();
  while (blocking_.use_count() > 1) std::this_thread::yield();
  EXPECT_TRUE(settlements_.Requests().empty());
}

TEST_F(AsyncDeviceKeyStoreTest, AbandonIsIdempotent) {
  const auto store = Open(software_);
  store->Abandon(milliseconds(20));

  EXPECT_NO_THROW(store->Abandon(milliseconds(20)));
  ExpectError(ErrorCode::kClosed, [&] { store->Support(); });
}

}  // namespace
}  // namespace device_key
