#include "platform/bounded_calls.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "platform/error.h"
#include "platform/thread_name.h"

namespace device_key {
namespace {

// The longest delay until an interruption is noticed. Not every system lets a thread wait for an
// Interrupt and a condition variable at once.
constexpr std::chrono::milliseconds kInterruptPolling{20};
constexpr size_t kCallQueueLimit = 65536;  // large, because each store has its own limit

std::atomic<int> abandoned_calls = 0;

bool IsInterrupted(const OperationLimits& limits) {
  return limits.interrupt != nullptr && limits.interrupt->triggered();
}

}  // namespace

// Shared by the caller and the thread of the call.
struct BoundedCalls::Call {
  // Runs on the thread of the call.
  void Execute(bool counts_when_abandoned) {
    {
      const std::lock_guard lock(mutex);
      if (abandoned) return;
      started = true;
    }
    std::exception_ptr error;
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
    work = nullptr;  // destroys what it owns before the caller continues
    std::unique_lock lock(mutex);
    if (!abandoned) {
      undo = nullptr;
      ended = true;
      // Moved, so that the caller's thread alone destroys the exception.
      failure = std::move(error);
      changed.notify_all();
      return;
    }
    lock.unlock();
    if (!error && undo) {
      try {
        undo();
      } catch (const DeviceKeyError&) {
        // No caller waits for the error.
      }
    }
    undo = nullptr;
    if (counts_when_abandoned) --abandoned_calls;
  }

  std::function<void()> work;
  std::function<void()> undo;
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false;
  bool ended = false;
  bool abandoned = false;
  std::exception_ptr failure;
};

BoundedCalls::BoundedCalls(Threads threads, std::string thread_name, Messages messages)
    : threads_(threads),
      messages_(std::move(messages)),
      queue_(std::move(thread_name), kCallQueueLimit) {}

BoundedCalls::~BoundedCalls() {
  queue_.Close();
  queue_.Join(std::chrono::milliseconds(0));
}

int BoundedCalls::abandoned() { return abandoned_calls; }

// Returns the id of the queue's task; 0 if the call has its own thread.
uint64_t BoundedCalls::Start(const std::shared_ptr<Call>& call) {
  if (threads_ == Threads::kOne) {
    return queue_.Post([call] { call->Execute(/*counts_when_abandoned=*/false); });
  }
  if (abandoned_calls >= kMaxAbandoned) {
    throw DeviceKeyError(ErrorCode::kDeviceBusy, messages_.busy);
  }
  try {
    std::thread([call] { call->Execute(/*counts_when_abandoned=*/true); }).detach();
  } catch (const std::system_error& error) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         std::string("could not start a thread: ") + error.what());
  }
  return 0;
}

void BoundedCalls::RunTask(const OperationLimits& limits, std::function<void()> work,
                           std::function<void()> undo) {
  const auto call = std::make_shared<Call>();
  call->work = std::move(work);
  call->undo = std::move(undo);
  const auto give_up = [&] {
    return IsInterrupted(limits) || std::chrono::steady_clock::now() >= limits.deadline;
  };
  uint64_t task = 0;
  bool started = true;
  if (!give_up()) {
    task = Start(call);
    std::unique_lock lock(call->mutex);
    while (!call->ended && !give_up()) {
      call->changed.wait_until(
          lock, std::min(limits.deadline, std::chrono::steady_clock::now() + kInterruptPolling));
    }
    if (call->ended) {
      if (call->failure) std::rethrow_exception(std::exchange(call->failure, nullptr));
      return;
    }
    call->abandoned = true;
    started = call->started;
    if (threads_ == Threads::kOnePerCall && started) ++abandoned_calls;
  }
  if (task != 0) queue_.Remove(task);  // a task that has not started must not fill the queue
  if (IsInterrupted(limits)) {
    throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed during the operation");
  }
  if (!started && threads_ == Threads::kOne) {
    throw DeviceKeyError(ErrorCode::kDeviceBusy, messages_.busy);
  }
  throw DeviceKeyError(ErrorCode::kDeviceTimeout, messages_.timeout);
}

}  // namespace device_key
