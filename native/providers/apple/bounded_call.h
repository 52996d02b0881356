// Calls that may hang, with an end.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_BOUNDED_CALL_H_
#define DEVICE_KEY_PROVIDERS_APPLE_BOUNDED_CALL_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "platform/error.h"
#include "providers/key_provider.h"

namespace device_key {

// Throws `closed` or `device_timeout` when `limits` ask for the end.
inline void CheckLimits(const OperationLimits& limits) {
  if (limits.interrupt != nullptr && limits.interrupt->triggered()) {
    throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed during the operation");
  }
  if (std::chrono::steady_clock::now() >= limits.deadline) {
    throw DeviceKeyError(ErrorCode::kDeviceTimeout,
                         "macOS did not answer in time; it may be waiting for someone to confirm. "
                         "Try again, or raise timeoutMs");
  }
}

// Calls that were given up and go on. Each keeps a thread.
inline std::atomic<int> g_abandoned_calls{0};

// Runs `work` on a thread of its own and returns or throws what it does, or gives up at the end of
// `limits`: Security.framework waits for people and for daemons and has no timeouts. Work that was
// given up goes on by itself, so it must own all that it touches; its late result goes to `undo`,
// which must not throw. Throws `device_busy` while too many go on.
template <class Result>
Result BoundedCall(const OperationLimits& limits, std::function<Result()> work,
                   std::function<void(const Result&)> undo = nullptr) {
  struct State {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Result> result;
    std::exception_ptr failure;
    bool abandoned = false;
  };
  // How late an interruption may be noticed.
  constexpr std::chrono::milliseconds kPatience{20};
  constexpr int kMostAbandoned = 16;

  CheckLimits(limits);
  if (g_abandoned_calls >= kMostAbandoned) {
    throw DeviceKeyError(ErrorCode::kDeviceBusy,
                         "macOS has not yet answered what it was asked before; answer its dialogs, "
                         "or log out and in again");
  }
  const auto state = std::make_shared<State>();
  try {
    std::thread([state, work = std::move(work), undo = std::move(undo)]() mutable {
      std::optional<Result> result;
      std::exception_ptr failure;
      try {
        result = work();
      } catch (...) {
        failure = std::current_exception();
      }
      work = nullptr;  // what it owns is gone when the caller goes on
      std::unique_lock lock(state->mutex);
      if (state->abandoned) {
        lock.unlock();
        if (result && undo) undo(*result);
        --g_abandoned_calls;
        return;
      }
      state->result = std::move(result);
      state->failure = std::move(failure);
      state->done.notify_all();
    }).detach();
  } catch (const std::system_error& error) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         std::string("could not start a thread: ") + error.what());
  }

  std::unique_lock lock(state->mutex);
  const auto ended = [&] { return state->result.has_value() || state->failure != nullptr; };
  try {
    while (!state->done.wait_for(lock, kPatience, ended)) CheckLimits(limits);
  } catch (const DeviceKeyError&) {
    state->abandoned = true;
    ++g_abandoned_calls;
    throw;
  }
  if (state->failure) std::rethrow_exception(std::exchange(state->failure, nullptr));
  return std::move(*state->result);
}

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_BOUNDED_CALL_H_
