// Calls that cannot be ended from outside, with a limit on how long we wait for them.
#ifndef DEVICE_KEY_PROVIDERS_CNG_BLOCKING_CALLS_H_
#define DEVICE_KEY_PROVIDERS_CNG_BLOCKING_CALLS_H_

#include <functional>

#include "platform/task_queue.h"
#include "providers/key_provider.h"

namespace device_key {

// Whether whoever asked for a call has stopped waiting for it.
using GaveUp = std::function<bool()>;

// Runs calls one after the other on a thread of its own. Thread-safe.
class BlockingCalls {
 public:
  BlockingCalls();

  // A call that still hangs is left to itself, and its thread with it.
  ~BlockingCalls();

  // Returns when `call` has ended, and throws what it threw. Throws `device_timeout` at the
  // deadline and `closed` at an interruption: then the call goes on, or never starts. `call` must
  // own what it touches, and undo what it did when, at its end, whoever asked gave up.
  void Run(const OperationLimits& limits, std::function<void(const GaveUp&)> call);

 private:
  TaskQueue queue_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_BLOCKING_CALLS_H_
