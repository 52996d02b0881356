// The whole store on a TPM without a resource manager, whose answers are spoilt at random: every
// request is settled once and in time, no signature is wrong, and no key is lost.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "crypto/base64.h"
#include "crypto/p256.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "keystore/async_device_key_store.h"
#include "platform/temporary_directory.h"
#include "protocol/signed_bytes.h"
#include "providers/tpm2/tpm2_provider.h"
#include "support/random_faults.h"
#include "support/swtpm.h"
#include "support/tpm_proxy.h"

namespace device_key {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Settled {
  Settlement settlement;
  steady_clock::time_point at;
};

// A store, and how its requests were settled.
class WatchedStore {
 public:
  WatchedStore(const OpenOptions& options, const std::string& tcti)
      : store_(
            options,
            {std::make_shared<Tpm2Provider>(Tpm2Options{.tcti = tcti, .allow_simulator = true})},
            [this](Settlement settlement) {
              const std::lock_guard lock(mutex_);
              settled_[settlement.request].push_back({std::move(settlement), steady_clock::now()});
              changed_.notify_all();
            }) {}

  AsyncDeviceKeyStore* operator->() { return &store_; }

  // nullopt if it is not settled within a minute.
  std::optional<Settled> Await(uint64_t request) {
    std::unique_lock lock(mutex_);
    const bool settled = changed_.wait_for(lock, std::chrono::minutes(1),
                                           [&] { return !settled_[request].empty(); });
    return settled ? std::optional(settled_[request].front()) : std::nullopt;
  }

  size_t Times(uint64_t request) {
    const std::lock_guard lock(mutex_);
    return settled_[request].size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, std::vector<Settled>> settled_;
  AsyncDeviceKeyStore store_;  // calls the above until it is destroyed
};

enum class Kind { kCreate, kSign, kDelete, kList };

struct Asked {
  Kind kind;
  WatchedStore* store;
  uint64_t request;
  steady_clock::time_point at;
  std::string key_id;           // sign, delete
  nlohmann::json payload = {};  // sign
};

class TpmFaultsStoreTest : public ::testing::Test {
 protected:
  static constexpr milliseconds kLimit{250};
  // How late a busy machine may run a thread, or flush a record to its disk.
  static constexpr milliseconds kLate{4000};
  static constexpr unsigned kSeed = 20240601;

  OpenOptions Options(milliseconds timeout) const {
    OpenOptions options;
    options.directory = directory_ / "keys";
    options.timeout = timeout;
    return options;
  }

  static std::string KeyIdParams(const std::string& key_id) {
    return nlohmann::json{{"keyId", key_id}}.dump();
  }

  // No two payloads are the same.
  static nlohmann::json NewPayload() {
    return {{"type", "remoteControlClientConnection"},
            {"nonce", Base64UrlEncode(RandomBytes(32))},
            {"audience", "remote_control_client_websocket"},
            {"sessionId", "session-1"},
            {"targetOrigin", "https://chatgpt.com"},
            {"targetPath", "/api/codex/remote/control/client"},
            {"accountUserId", "account-1"},
            {"clientId", "client-1"},
            {"tokenExpiresAt", std::time(nullptr) + 600},
            {"tokenSha256Base64url", Base64UrlEncode(Bytes(32, 2))},
            {"scopes", {"remote_control_controller_websocket"}}};
  }

  // There must be one.
  const std::string& AnyKey() {
    return std::next(public_keys_.begin(), random_() % public_keys_.size())->first;
  }

  Asked Ask(Kind kind, WatchedStore& store) {
    Asked asked{kind, &store, 0, steady_clock::now(), {}};
    switch (kind) {
      case Kind::kCreate:
        asked.request = store->Create(R"({"accountUserId":"account-1","clientId":"client-1"})");
        break;
      case Kind::kSign:
        asked.key_id = AnyKey();
        asked.payload = NewPayload();
        asked.request =
            store->Sign(nlohmann::json{{"keyId", asked.key_id}, {"payload", asked.payload}}.dump());
        break;
      case Kind::kDelete:
        asked.key_id = AnyKey();
        asked.request = store->Delete(KeyIdParams(asked.key_id));
        deleting_.insert(asked.key_id);
        break;
      case Kind::kList:
        asked.request = store->List();
        break;
    }
    return asked;
  }

  // Mostly signatures. There are about 2 to 6 keys, more than there are slots.
  Kind NextKind() {
    switch (random_() % 10) {
      case 0:
      case 1:
        return public_keys_.size() < 6 ? Kind::kCreate : Kind::kDelete;
      case 2:
        return public_keys_.size() > 2 + deleting_.size() ? Kind::kDelete : Kind::kCreate;
      case 3:
        return Kind::kList;
      default:
        return Kind::kSign;
    }
  }

  void ExpectRightSignature(const Asked& asked, const nlohmann::json& result) {
    // nlohmann::json sorts the members as the protocol does, and nothing here needs an escape.
    const std::string expected =
        nlohmann::json{{"domain", kSignedBytesDomain}, {"payload", asked.payload}}.dump();
    const auto signed_bytes = Base64Decode(result.at("signedPayloadBase64").get<std::string>());
    const auto signature = Base64Decode(result.at("signatureDerBase64").get<std::string>());
    ASSERT_TRUE(signed_bytes.has_value() && signature.has_value()) << result;
    EXPECT_EQ(std::string(signed_bytes->begin(), signed_bytes->end()), expected);
    EXPECT_TRUE(P256PublicKey::FromSpki(public_keys_.at(asked.key_id))
                    .Verify(Sha256(AsBytes(expected)), *signature))
        << asked.key_id;
  }

  static std::set<std::string> KeyIds(const nlohmann::json& list) {
    std::set<std::string> key_ids;
    for (const nlohmann::json& key : list) {
      EXPECT_FALSE(key.contains("error")) << key;
      key_ids.insert(key.at("keyId").get<std::string>());
    }
    return key_ids;
  }

  // The current requests may have made and deleted other keys.
  void ExpectKeysThatStay(const std::set<std::string>& listed) const {
    for (const auto& [key_id, spki] : public_keys_) {
      EXPECT_TRUE(listed.contains(key_id) || deleting_.contains(key_id)) << key_id;
    }
  }

  // Checks how one request was settled, and remembers the keys that this has made.
  void Expect(const Asked& asked) {
    const std::optional<Settled> settled = asked.store->Await(asked.request);
    ASSERT_TRUE(settled.has_value()) << "request " << asked.request << " was not settled";
    slowest_ = std::max(slowest_, std::chrono::ceil<milliseconds>(settled->at - asked.at));
    if (const auto& error = settled->settlement.error) {
      ++errors_;
      EXPECT_EQ(settled->settlement.result, "");
      // No request deletes a key before it is known to the test.
      EXPECT_TRUE(error->code() != ErrorCode::kKeyNotFound || deleting_.contains(asked.key_id))
          << error->what();
      return;
    }
    const nlohmann::json result = nlohmann::json::parse(settled->settlement.result);
    switch (asked.kind) {
      case Kind::kCreate:
        created_[result.at("keyId")] =
            Base64Decode(result.at("publicKeySpkiDerBase64").get<std::string>()).value();
        break;
      case Kind::kSign:
        ExpectRightSignature(asked, result);
        ++signatures_;
        break;
      case Kind::kDelete:
        deleted_.insert(asked.key_id);
        break;
      case Kind::kList:
        ExpectKeysThatStay(KeyIds(result));
        break;
    }
  }

  // Several requests at once, to two stores of one directory and one TPM.
  void AskManyAtOnce(int count, WatchedStore* stores[2]) {
    std::vector<Asked> all;
    for (int i = 0; i < count; ++i) all.push_back(Ask(NextKind(), *stores[i % 2]));
    for (const Asked& asked : all) Expect(asked);
    for (const std::string& key_id : deleted_) public_keys_.erase(key_id);
    public_keys_.merge(created_);
    deleting_.clear();
    deleted_.clear();
    created_.clear();
  }

  // Without faults: the store has exactly the keys that were confirmed, and each of them signs.
  void ExpectEveryKey(WatchedStore& store) {
    const std::optional<Settled> list = store.Await(store->List());
    ASSERT_TRUE(list.has_value() && !list->settlement.error.has_value());
    std::set<std::string> confirmed;
    for (const auto& [key_id, spki] : public_keys_) confirmed.insert(key_id);
    EXPECT_EQ(KeyIds(nlohmann::json::parse(list->settlement.result)), confirmed);
    for (const std::string& key_id : confirmed) {
      const nlohmann::json payload = NewPayload();
      const uint64_t request =
          store->Sign(nlohmann::json{{"keyId", key_id}, {"payload", payload}}.dump());
      const std::optional<Settled> settled = store.Await(request);
      ASSERT_TRUE(settled.has_value());
      ASSERT_FALSE(settled->settlement.error.has_value()) << settled->settlement.error->what();
      ExpectRightSignature({Kind::kSign, &store, request, {}, key_id, payload},
                           nlohmann::json::parse(settled->settlement.result));
    }
  }

  const TemporaryDirectory directory_;
  const testing::SoftwareTpm tpm_;
  TpmProxy proxy_{tpm_.socket_path()};
  std::mt19937 random_{kSeed};
  std::map<std::string, Bytes> public_keys_;  // SPKI, by id, of every confirmed key
  std::map<std::string, Bytes> created_;      // those that the current requests have made,
  std::set<std::string> deleting_;            // those that they may delete,
  std::set<std::string> deleted_;             // and those that they have deleted
  int errors_ = 0;
  int signatures_ = 0;
  milliseconds slowest_{0};
};

// With DEVICE_KEY_FAULTS_TABLE (scripts/test-faults) the test is longer, and adds a row to that
// file.
TEST_F(TpmFaultsStoreTest, RandomFaultsMakeNoWrongSignatureAndLoseNoKey) {
  const char* table = ::getenv("DEVICE_KEY_FAULTS_TABLE");
  const int rounds = table != nullptr ? 200 : 4;
  constexpr int kRequests = 20;
  constexpr int kAtOnce = 5;
  const RandomFaults random_faults(kSeed);
  WatchedStore first(Options(kLimit), proxy_.tcti());
  WatchedStore second(Options(kLimit), proxy_.tcti());
  WatchedStore unhurried(Options(std::chrono::minutes(1)), proxy_.tcti());
  WatchedStore* stores[] = {&first, &second};
  std::vector<Asked> creations;
  for (int i = 0; i < 4; ++i) creations.push_back(Ask(Kind::kCreate, unhurried));
  for (const Asked& creation : creations) Expect(creation);
  public_keys_.merge(created_);
  ASSERT_EQ(public_keys_.size(), creations.size());
  slowest_ = {};

  for (int round = 0; round < rounds && !HasFatalFailure(); ++round) {
    proxy_.Inject(random_faults.fault(), {});
    for (int i = 0; i < kRequests / kAtOnce; ++i) AskManyAtOnce(kAtOnce, stores);
    proxy_.ClearFaults();
    ExpectEveryKey(unhurried);
  }

  for (WatchedStore* store : {&first, &second, &unhurried}) {
    const uint64_t last = (*store)->Close();
    ASSERT_TRUE(store->Await(last).has_value());
    for (uint64_t request = 1; request <= last; ++request) {
      EXPECT_EQ(store->Times(request), 1u) << request;
    }
  }
  EXPECT_LT(slowest_, kLimit + kLate);
  // A slow machine makes few signatures in the short test.
  EXPECT_GT(signatures_, table != nullptr ? rounds * kRequests / 10 : 0);
  if (table != nullptr) {
    std::ofstream(table, std::ios::app)
        << "answers of a bare TPM, in " << rounds * kRequests << " requests to stores\t"
        << random_faults.spoilt() << '\t' << signatures_ << " signatures, none wrong; " << errors_
        << " errors, each with its code; no key lost; slowest " << slowest_.count() << " ms of "
        << kLimit.count() << '\n';
  }
}

}  // namespace
}  // namespace device_key
