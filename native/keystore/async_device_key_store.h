// DeviceKeyStore for callers that must not block: requests in, settlements out.
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

namespace device_key {

// How a request ended: the JSON text of its result, or an error.
struct Settlement {
  uint64_t request = 0;
  std::string result;
  std::optional<DeviceKeyError> error;
};

// Each request is decoded and checked on the calling thread, where what is wrong with it is thrown
// at once; the rest happens on one of two threads of the store's own: what may wait for hardware on
// one, in order, what needs records alone on the other, so that a slow TPM does not hold up a
// listing. Every request that was given a number is settled exactly once, unless Cancel returned
// true for it or the store was abandoned.
//
// All members are for one thread (the JavaScript thread), and return without waiting except where
// they say so.
class AsyncDeviceKeyStore {
 public:
  // `on_settled` is called on the store's threads, and on the caller's from Close.
  AsyncDeviceKeyStore(const OpenOptions& options,
                      std::vector<std::shared_ptr<KeyProvider>> providers,
                      std::function<void(Settlement)> on_settled);

  // Abandons what has not been settled.
  ~AsyncDeviceKeyStore();

  AsyncDeviceKeyStore(const AsyncDeviceKeyStore&) = delete;
  AsyncDeviceKeyStore& operator=(const AsyncDeviceKeyStore&) = delete;

  // Params as JSON text; the results' JSON is that of the wire types. Throw `invalid_params`,
  // `invalid_payload`, `queue_full` and `closed`.
  uint64_t Create(std::string_view params);
  uint64_t CreateUnbound(std::string_view params);
  uint64_t Public(std::string_view params);
  uint64_t Sign(std::string_view params);
  uint64_t SignBytes(std::string_view params);
  uint64_t Delete(std::string_view params);  // the params of Public; results in {}
  uint64_t Attest(std::string_view params);
  uint64_t ActivateAttestation(std::string_view params);
  uint64_t List();
  // `all`: also those providers that are not needed (ProviderSet::Ask).
  uint64_t Support(bool all = false);

  // The directory of the key records; absolute. Touches neither disk nor hardware.
  const std::filesystem::path& directory() const { return directory_; }

  // For a store that was opened with a PinPrompt: the token for which a request has failed with
  // `pin_required`, as JSON (PinPrompt), once; "null" when there is none. And the PIN, for the next
  // request that needs it.
  std::string TakePinQuestion();
  void AnswerPin(Pin pin);

  // True when the request will not be settled: it had not started, or its result is thrown away
  // when it ends (a key that was being created is deleted again). False when it has been settled
  // or it is too late.
  bool Cancel(uint64_t request);

  // No more requests. Those that have not started are settled with `closed` before this returns;
  // those that run go on. The request that is returned is settled when they have ended and the
  // hardware has been let go. A second call throws `closed`.
  uint64_t Close();

  // Lets go of everything without settling anything more; for when there is nobody to hear it.
  // Waits for a running command up to `grace`, then interrupts it, waits as long again, and leaves
  // a thread that still hangs to itself.
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
