// DeviceKeyStore for callers that must not block: it takes requests and settles them later.
#ifndef DEVICE_KEY_KEYSTORE_ASYNC_DEVICE_KEY_STORE_H_
#define DEVICE_KEY_KEYSTORE_ASYNC_DEVICE_KEY_STORE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "keystore/open_options.h"
#include "platform/error.h"
#include "platform/task_queue.h"
#include "protocol/types.h"
#include "providers/key_provider.h"

namespace device_key {

// How a request ended: the JSON text of its result, or an error.
struct Settlement {
  uint64_t request = 0;
  std::string result;
  std::optional<DeviceKeyError> error;
};

// Each request is decoded and checked on the calling thread, where errors in it are thrown
// at once. The rest runs on one of the store's two threads: requests that may wait for hardware on
// one, in order, and requests that need only records on the other, so that a slow TPM does not
// delay a listing. Every request that was given a number is settled exactly once, unless Cancel
// returned true for it or the store was abandoned.
//
// Call all members on one thread (the JavaScript thread). They do not wait, except where their
// comment says so.
class AsyncDeviceKeyStore {
 public:
  // `on_settled` is called on the store's threads, and by Close on the caller's thread.
  AsyncDeviceKeyStore(const OpenOptions& options,
                      std::vector<std::shared_ptr<KeyProvider>> providers,
                      std::function<void(Settlement)> on_settled);

  // Abandons all requests that have not been settled.
  ~AsyncDeviceKeyStore();

  AsyncDeviceKeyStore(const AsyncDeviceKeyStore&) = delete;
  AsyncDeviceKeyStore& operator=(const AsyncDeviceKeyStore&) = delete;

  // Params as JSON text; the results' JSON is that of the wire types. Throw `invalid_params`,
  // `invalid_payload`, `queue_full` and `closed`.
  uint64_t Create(std::string_view params);
  uint64_t CreateUnbound(std::string_view params);
  uint64_t CreateDpopKey(std::string_view params);
  uint64_t Public(std::string_view params);
  uint64_t Sign(std::string_view params);
  uint64_t SignBytes(std::string_view params);
  uint64_t SignDpop(std::string_view params);  // results in {"proof"}
  uint64_t Delete(std::string_view params);    // the params of Public; results in {}
  uint64_t Attest(std::string_view params);
  uint64_t ActivateAttestation(std::string_view params);
  uint64_t List();
  // `all`: also ask the providers that are not needed (ProviderSet::Ask).
  uint64_t Support(bool all = false);

  // The directory of the key records; absolute. Touches neither disk nor hardware.
  const std::filesystem::path& directory() const { return directory_; }

  // For a store that was opened with a PinPrompt. TakePinQuestion returns, once, the token for
  // which a request has failed with `pin_required`, as JSON (PinPrompt); "null" when there is none.
  // AnswerPin sets the PIN for the next request that needs it.
  std::string TakePinQuestion();
  void AnswerPin(Pin pin);

  // True when the request will not be settled: it had not started, or its result is discarded
  // when it ends (a key that was being created is deleted again). False when it has been settled
  // or it is too late.
  bool Cancel(uint64_t request);

  // Accepts no more requests. Those that have not started are settled with `closed` before this
  // returns; the running ones continue. The returned request is settled when they have ended and
  // the hardware has been released. A second call throws `closed`.
  uint64_t Close();

  // Releases everything and settles no more requests, because the environment is ending.
  // Waits for a running command up to `grace`, interrupts it, waits as long again, and then
  // detaches a thread that still hangs.
  void Abandon(std::chrono::milliseconds grace);

 private:
  struct Core;
  struct Request;
  using Work = std::function<std::string(Core&, Request&)>;

  enum class Lane { kHardware, kRecords };

  void RequireOpen() const;
  uint64_t SubmitSign(SignParams params);
  uint64_t Submit(Lane lane, Work work);
  TaskQueue& QueueOf(Lane lane);

  const std::filesystem::path directory_;
  const std::shared_ptr<PinPrompt> pin_prompt_;  // may be null
  const std::shared_ptr<Core> core_;
  TaskQueue hardware_queue_;
  TaskQueue records_queue_;
  uint64_t last_request_ = 0;
  bool closed_ = false;
  bool abandoned_ = false;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_ASYNC_DEVICE_KEY_STORE_H_
