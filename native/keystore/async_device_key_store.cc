#include "keystore/async_device_key_store.h"

#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "crypto/base64.h"
#include "keystore/device_key_store.h"
#include "platform/interrupt.h"
#include "protocol/decode.h"
#include "protocol/dpop.h"
#include "protocol/encode.h"
#include "protocol/rules.h"

namespace device_key {
namespace {

DeviceKeyError ClosedError() {
  return DeviceKeyError(ErrorCode::kClosed, "the key store is closed; open another");
}

// Paths and driver messages may hold bytes that are not UTF-8; replace them, so that there is a
// report.
std::string Text(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void AddListedBinding(nlohmann::ordered_json& json, const AccountBinding& binding) {
  json["use"] = "remote_control";
  json["accountUserId"] = nullptr;
  json["clientId"] = nullptr;
  if (!binding.empty()) {
    json["accountUserId"] = binding.account_user_id;
    json["clientId"] = binding.client_id;
  }
  json["origins"] = nullptr;
}

void AddListedBinding(nlohmann::ordered_json& json, const DpopBinding& binding) {
  json["use"] = "dpop";
  json["accountUserId"] = nullptr;
  json["clientId"] = binding.client_id;
  json["origins"] = binding.origins;
}

nlohmann::ordered_json EncodeListedKey(const ListedKey& listed) {
  if (listed.key == nullptr) {
    return {{"keyId", listed.key_id.str()},
            {"error",
             {{"code", ErrorCodeName(listed.error->code())}, {"message", listed.error->what()}}}};
  }
  const KeyRecord& record = listed.key->record();
  nlohmann::ordered_json json = EncodePublicResponse({record.key_id, record.public_key_spki_der});
  std::visit([&](const auto& binding) { AddListedBinding(json, binding); }, record.binding);
  json["createdAt"] = record.created_at;
  return json;
}

nlohmann::ordered_json EncodeAttestation(const KeyId& key_id, const KeyAttestation& attestation) {
  auto endorsement_keys = nlohmann::ordered_json::array();
  for (const KeyAttestation::EndorsementKey& key : attestation.endorsement_keys) {
    nlohmann::ordered_json json = {{"publicArea", Base64Encode(key.public_area)},
                                   {"certificate", nullptr}};
    if (key.certificate) json["certificate"] = Base64Encode(*key.certificate);
    endorsement_keys.push_back(std::move(json));
  }
  return {{"format", "tpm2"},
          {"keyId", key_id.str()},
          {"attest", Base64Encode(attestation.attest)},
          {"signature", Base64Encode(attestation.signature)},
          {"keyPublicArea", Base64Encode(attestation.key_public_area)},
          {"attestationKeyPublicArea", Base64Encode(attestation.attestation_key_public_area)},
          {"endorsementKeys", std::move(endorsement_keys)}};
}

}  // namespace

// The stage of a request. The thread that moves it out of kQueued or kRunning decides its outcome,
// so Cancel and the worker cannot both have it.
enum class Stage { kQueued, kRunning, kCommitted, kOver };

struct AsyncDeviceKeyStore::Request {
  uint64_t id = 0;
  Lane lane = Lane::kRecords;
  uint64_t task = 0;
  std::chrono::steady_clock::time_point deadline;  // counts from the call
  std::atomic<Stage> stage{Stage::kQueued};

  bool Move(Stage from, Stage to) { return stage.compare_exchange_strong(from, to); }
  // A key has been made and is about to be recorded: the request can no longer be canceled.
  bool Commit() { return Move(Stage::kRunning, Stage::kCommitted); }
  bool End() {
    return Move(Stage::kRunning, Stage::kOver) || Move(Stage::kCommitted, Stage::kOver);
  }
};

// The state that the store's threads share; it lives until the last of them ends.
struct AsyncDeviceKeyStore::Core {
  Core(const OpenOptions& options, std::vector<std::shared_ptr<KeyProvider>> providers,
       std::function<void(Settlement)> on_settled)
      : timeout(options.timeout),
        on_settled(std::move(on_settled)),
        store(std::make_unique<DeviceKeyStore>(
            StoreOptions{.directory = options.directory, .targets = options.targets},
            std::move(providers))) {}

  OperationLimits LimitsOf(const Request& request) { return {request.deadline, &interrupt}; }

  DeviceKeyError TimedOut() const {
    return DeviceKeyError(ErrorCode::kDeviceTimeout,
                          "the operation waited for its turn for longer than its time limit of " +
                              std::to_string(timeout.count()) +
                              " ms and was not started: try again, start fewer at once, or raise "
                              "timeoutMs");
  }

  void Settle(Settlement settlement) {
    {
      const std::lock_guard lock(mutex);
      pending.erase(settlement.request);
    }
    const std::lock_guard lock(on_settled_mutex);
    if (on_settled) on_settled(std::move(settlement));
  }

  const std::chrono::milliseconds timeout;
  Interrupt interrupt;
  std::mutex mutex;  // guards the next
  std::map<uint64_t, std::shared_ptr<Request>> pending;
  // Guards the next. Not `mutex`: on_settled wakes the JavaScript thread, which often submits its
  // next request at once.
  std::mutex on_settled_mutex;
  std::function<void(Settlement)> on_settled;
  std::unique_ptr<DeviceKeyStore> store;  // null once both threads are done with it
  std::atomic<int> lanes_in_use{2};
};

AsyncDeviceKeyStore::AsyncDeviceKeyStore(const OpenOptions& options,
                                         std::vector<std::shared_ptr<KeyProvider>> providers,
                                         std::function<void(Settlement)> on_settled)
    : directory_(std::filesystem::absolute(options.directory)),
      pin_prompt_(options.pkcs11_pin.prompt),
      core_(std::make_shared<Core>(options, std::move(providers), std::move(on_settled))),
      hardware_queue_("device-key-hw", options.queue_limit),
      records_queue_("device-key-rec", options.queue_limit) {}

AsyncDeviceKeyStore::~AsyncDeviceKeyStore() { Abandon(std::chrono::milliseconds(500)); }

uint64_t AsyncDeviceKeyStore::Create(std::string_view params) {
  RequireOpen();
  CreateParams decoded = DecodeCreateParams(params);
  CheckCreateParams(decoded);
  return Submit(Lane::kHardware, [decoded = std::move(decoded)](Core& core, Request& request) {
    return Text(EncodeCreateResponse(
        core.store->Create(decoded, core.LimitsOf(request), [&] { return request.Commit(); })));
  });
}

uint64_t AsyncDeviceKeyStore::CreateUnbound(std::string_view params) {
  RequireOpen();
  return Submit(Lane::kHardware,
                [decoded = DecodeCreateUnboundParams(params)](Core& core, Request& request) {
                  return Text(EncodeCreateResponse(core.store->CreateUnbound(
                      decoded, core.LimitsOf(request), [&] { return request.Commit(); })));
                });
}

uint64_t AsyncDeviceKeyStore::CreateDpopKey(std::string_view params) {
  RequireOpen();
  CreateDpopKeyParams decoded = DecodeCreateDpopKeyParams(params);
  CheckCreateDpopKeyParams(decoded);
  return Submit(Lane::kHardware, [decoded = std::move(decoded)](Core& core, Request& request) {
    return Text(EncodeCreateDpopKeyResponse(core.store->CreateDpopKey(
        decoded, core.LimitsOf(request), [&] { return request.Commit(); })));
  });
}

uint64_t AsyncDeviceKeyStore::Public(std::string_view params) {
  RequireOpen();
  return Submit(Lane::kRecords, [decoded = DecodePublicParams(params)](Core& core, Request&) {
    return Text(EncodePublicResponse(core.store->Public(decoded.key_id)));
  });
}

uint64_t AsyncDeviceKeyStore::Sign(std::string_view params) {
  RequireOpen();
  return SubmitSign(DecodeSignParams(params));
}

uint64_t AsyncDeviceKeyStore::SignBytes(std::string_view params) {
  RequireOpen();
  return SubmitSign(DecodeSignBytesParams(params));
}

uint64_t AsyncDeviceKeyStore::SubmitSign(SignParams params) {
  return Submit(Lane::kHardware, [prepared = core_->store->Prepare(std::move(params))](
                                     Core& core, Request& request) {
    return EncodeSignResponse(core.store->Sign(prepared, core.LimitsOf(request)));
  });
}

uint64_t AsyncDeviceKeyStore::SignDpop(std::string_view params) {
  RequireOpen();
  SignDpopParams decoded = DecodeSignDpopParams(params);
  CheckDpopClaims(decoded.claims);
  return Submit(Lane::kHardware, [decoded = std::move(decoded)](Core& core, Request& request) {
    return Text({{"proof", core.store->SignDpop(decoded, core.LimitsOf(request))}});
  });
}

uint64_t AsyncDeviceKeyStore::Delete(std::string_view params) {
  RequireOpen();
  return Submit(Lane::kHardware,
                [decoded = DecodePublicParams(params)](Core& core, Request& request) {
                  core.store->Delete(decoded.key_id, core.LimitsOf(request));
                  return std::string("{}");
                });
}

uint64_t AsyncDeviceKeyStore::Attest(std::string_view params) {
  RequireOpen();
  return Submit(
      Lane::kHardware, [decoded = DecodeAttestParams(params)](Core& core, Request& request) {
        return Text(
            EncodeAttestation(decoded.key_id, core.store->Attest(decoded, core.LimitsOf(request))));
      });
}

uint64_t AsyncDeviceKeyStore::ActivateAttestation(std::string_view params) {
  RequireOpen();
  return Submit(Lane::kHardware, [decoded = DecodeActivateAttestationParams(params)](
                                     Core& core, Request& request) {
    const Bytes secret = core.store->ActivateAttestation(decoded, core.LimitsOf(request));
    return Text({{"secret", Base64Encode(secret)}});
  });
}

uint64_t AsyncDeviceKeyStore::List() {
  RequireOpen();
  return Submit(Lane::kRecords, [](Core& core, Request&) {
    auto keys = nlohmann::ordered_json::array();
    for (const ListedKey& key : core.store->List()) keys.push_back(EncodeListedKey(key));
    return Text(keys);
  });
}

uint64_t AsyncDeviceKeyStore::Support(bool all) {
  RequireOpen();
  const auto ask = all ? ProviderSet::Ask::kAll : ProviderSet::Ask::kNeeded;
  return Submit(Lane::kHardware, [ask](Core& core, Request& request) {
    return Text(core.store->Support(core.LimitsOf(request), ask));
  });
}

uint64_t AsyncDeviceKeyStore::Submit(Lane lane, Work work) {
  auto request = std::make_shared<Request>();
  request->id = ++last_request_;
  request->lane = lane;
  request->deadline = std::chrono::steady_clock::now() + core_->timeout;
  {
    std::lock_guard lock(core_->mutex);
    core_->pending.emplace(request->id, request);
  }
  try {
    request->task = QueueOf(lane).Post([core = core_, request, work = std::move(work)] {
      if (!request->Move(Stage::kQueued, Stage::kRunning)) return;
      Settlement settlement{request->id, {}, {}};
      try {
        if (request->lane == Lane::kHardware &&
            std::chrono::steady_clock::now() >= request->deadline) {
          throw core->TimedOut();
        }
        settlement.result = work(*core, *request);
      } catch (const DeviceKeyError& error) {
        settlement.error = error;
      } catch (const std::exception& error) {
        settlement.error = DeviceKeyError(ErrorCode::kPlatformError, error.what());
      }
      if (request->End()) core->Settle(std::move(settlement));
    });
  } catch (const DeviceKeyError&) {
    std::lock_guard lock(core_->mutex);
    core_->pending.erase(request->id);
    throw;
  }
  return request->id;
}

std::string AsyncDeviceKeyStore::TakePinQuestion() {
  return pin_prompt_ != nullptr ? Text(pin_prompt_->TakeQuestion()) : "null";
}

void AsyncDeviceKeyStore::AnswerPin(Pin pin) {
  if (pin_prompt_ != nullptr) pin_prompt_->Answer(std::move(pin));
}

bool AsyncDeviceKeyStore::Cancel(uint64_t id) {
  std::shared_ptr<Request> request;
  {
    std::lock_guard lock(core_->mutex);
    const auto found = core_->pending.find(id);
    if (found == core_->pending.end()) return false;
    request = found->second;
  }
  if (request->Move(Stage::kQueued, Stage::kOver)) {
    QueueOf(request->lane).Remove(request->task);
  } else if (!request->Move(Stage::kRunning, Stage::kOver)) {
    return false;
  }
  std::lock_guard lock(core_->mutex);
  core_->pending.erase(id);
  return true;
}

uint64_t AsyncDeviceKeyStore::Close() {
  RequireOpen();
  closed_ = true;
  std::vector<std::shared_ptr<Request>> waiting;
  {
    std::lock_guard lock(core_->mutex);
    for (const auto& [id, request] : core_->pending) waiting.push_back(request);
  }
  // From the last to the first, because the threads take requests from the front meanwhile: no
  // request may run that was submitted after a refused one.
  for (auto request = waiting.rbegin(); request != waiting.rend(); ++request) {
    if (!(*request)->Move(Stage::kQueued, Stage::kOver)) continue;
    QueueOf((*request)->lane).Remove((*request)->task);
    core_->Settle({(*request)->id, {}, ClosedError()});
  }
  // The thread that arrives last releases the hardware and settles the request. Not the JavaScript
  // thread, because flushing the store's objects from a TPM waits for that TPM.
  const uint64_t id = ++last_request_;
  for (const Lane lane : {Lane::kHardware, Lane::kRecords}) {
    QueueOf(lane).Post([core = core_, id] {
      if (--core->lanes_in_use > 0) return;
      core->store.reset();
      core->Settle({id, "{}", {}});
    });
  }
  return id;
}

void AsyncDeviceKeyStore::Abandon(std::chrono::milliseconds grace) {
  if (abandoned_) return;
  abandoned_ = true;
  closed_ = true;
  {
    const std::lock_guard lock(core_->on_settled_mutex);
    core_->on_settled = nullptr;
  }
  {
    const std::lock_guard lock(core_->mutex);
    core_->pending.clear();
  }
  hardware_queue_.Close();
  records_queue_.Close();
  if (!hardware_queue_.WaitForEnd(grace)) core_->interrupt.Trigger();
  hardware_queue_.Join(grace);
  records_queue_.Join(grace);
}

void AsyncDeviceKeyStore::RequireOpen() const {
  if (closed_) throw ClosedError();
}

TaskQueue& AsyncDeviceKeyStore::QueueOf(Lane lane) {
  return lane == Lane::kHardware ? hardware_queue_ : records_queue_;
}

}  // namespace device_key
