// Calls that nothing can interrupt, with a limit on how long we wait for them.
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

  // The messages of the errors.
  struct Messages {
    std::string timeout;  // `device_timeout`: the call did not end in time
    std::string busy;     // `device_busy`: it could not be started in time
  };

  // With kOnePerCall, how many calls of this process may hang before more are refused. Each keeps a
  // thread.
  static constexpr int kMaxAbandoned = 16;

  BoundedCalls(Threads threads, std::string thread_name, Messages messages);

  // Does not wait for a call that hangs: it keeps its thread.
  ~BoundedCalls();

  BoundedCalls(const BoundedCalls&) = delete;
  BoundedCalls& operator=(const BoundedCalls&) = delete;

  // Returns or throws what `work` does. Throws `device_timeout` at the deadline, `closed` at an
  // interruption, and `device_busy` when the call could not be started because others hang; one
  // that has not been started by then never is. The result of a call that was given up goes to
  // `undo`, on the call's thread. It is given to either the caller or `undo`, never to both.
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

  // The calls of this process that were given up and go on, of all objects with kOnePerCall.
  static int abandoned();

 private:
  struct Call;

  void RunTask(const OperationLimits& limits, std::function<void()> work,
               std::function<void()> undo);
  uint64_t Start(const std::shared_ptr<Call>& call);

  const Threads threads_;
  const Messages messages_;
  TaskQueue queue_;  // for kOne; starts its thread with the first call
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_BOUNDED_CALLS_H_
