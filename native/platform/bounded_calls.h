// Calls that cannot be interrupted, with a limit on the time that we wait for them.
#ifndef DEVICE_KEY_PLATFORM_BOUNDED_CALLS_H_
#define DEVICE_KEY_PLATFORM_BOUNDED_CALLS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "platform/operation_limits.h"
#include "platform/task_queue.h"

namespace device_key {

// Runs calls into a library that may hang (a PKCS#11 module, Windows' CNG, macOS'
// Security.framework) on other threads, and stops waiting at the operation's limits. An
// abandoned call continues, so it must own everything that it uses. Thread-safe.
class BoundedCalls {
 public:
  enum class Threads {
    // All calls run on one thread, one after the other. While one hangs, the others wait.
    kOne,
    // Each call has its own thread, so a call that hangs delays no other.
    kOnePerCall,
  };

  // The error messages.
  struct Messages {
    std::string timeout;  // `device_timeout`: the call did not end in time
    std::string busy;     // `device_busy`: the call did not start in time
  };

  // With kOnePerCall: how many calls of this process may hang before further calls are refused.
  // Each keeps a thread.
  static constexpr int kMaxAbandoned = 16;

  BoundedCalls(Threads threads, std::string thread_name, Messages messages);

  // Does not wait for a call that hangs, which keeps its thread.
  ~BoundedCalls();

  BoundedCalls(const BoundedCalls&) = delete;
  BoundedCalls& operator=(const BoundedCalls&) = delete;

  // Returns or throws what `work` does. Throws `device_timeout` at the deadline, `closed` when
  // interrupted, and `device_busy` when the call could not start because other calls hang; it then
  // never starts. If the caller has stopped waiting, the result goes to `undo`, on the thread of
  // the call. Each result goes either to the caller or to `undo`, never to both.
  template <class Work, class Result = std::invoke_result_t<Work>>
  Result Run(const OperationLimits& limits, Work work,
             std::type_identity_t<std::function<void(const Result&)>> undo = nullptr) {
    const auto result = std::make_shared<std::optional<Result>>();
    std::function<void()> undo_result;
    if (undo) undo_result = [result, undo = std::move(undo)] { undo(**result); };
    RunTask(
        limits, [result, work = std::move(work)]() mutable { result->emplace(work()); },
        std::move(undo_result));
    return std::move(**result);
  }

  // For work that returns nothing.
  template <class Work>
  requires std::is_void_v<std::invoke_result_t<Work>>
  void Run(const OperationLimits& limits, Work work) { RunTask(limits, std::move(work), nullptr); }

  // How many abandoned calls of this process still run, of all objects with kOnePerCall.
  static int abandoned();

 private:
  struct Call;

  void RunTask(const OperationLimits& limits, std::function<void()> work,
               std::function<void()> undo);
  uint64_t Start(const std::shared_ptr<Call>& call);

  const Threads threads_;
  const Messages messages_;
  TaskQueue queue_;  // for kOne; the first call starts its thread
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_BOUNDED_CALLS_H_
