#include "providers/cng/blocking_calls.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace device_key {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kQueueLimit = 4096;
// How soon an interruption is noticed; Windows offers nothing to wait for beside the call.
constexpr milliseconds kLook{20};

struct Outcome {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  bool gave_up = false;
  bool committed = false;  // the call was told that it is being waited for: so it is
  std::exception_ptr error;
};

}  // namespace

BlockingCalls::BlockingCalls() : queue_("device-key-cng", kQueueLimit) {}

BlockingCalls::~BlockingCalls() {
  queue_.Close();
  queue_.Join(milliseconds(0));
}

void BlockingCalls::Run(const OperationLimits& limits, std::function<void(const GaveUp&)> call) {
  const auto outcome = std::make_shared<Outcome>();
  const uint64_t task = queue_.Post([outcome, call = std::move(call)] {
    std::exception_ptr error;
    try {
      call([&] {
        // One or the other: the caller gets what was made, or the call undoes it.
        const std::lock_guard lock(outcome->mutex);
        outcome->committed = !outcome->gave_up;
        return outcome->gave_up;
      });
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(outcome->mutex);
    outcome->error = error;
    outcome->ended = true;
    outcome->changed.notify_all();
  });
  std::unique_lock lock(outcome->mutex);
  const auto interrupted = [&] {
    return limits.interrupt != nullptr && limits.interrupt->triggered();
  };
  while (!outcome->ended &&
         (outcome->committed || (!interrupted() && steady_clock::now() < limits.deadline))) {
    outcome->changed.wait_for(lock, kLook);
  }
  if (outcome->ended) {
    if (outcome->error) std::rethrow_exception(outcome->error);
    return;
  }
  outcome->gave_up = true;
  lock.unlock();
  queue_.Remove(task);
  if (interrupted()) throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed");
  throw DeviceKeyError(ErrorCode::kDeviceTimeout,
                       "Windows' key store did not answer in time; try again, or restart Windows "
                       "if it goes on");
}

}  // namespace device_key
