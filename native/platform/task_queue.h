// One worker thread with a bounded queue in front of it.
#ifndef DEVICE_KEY_PLATFORM_TASK_QUEUE_H_
#define DEVICE_KEY_PLATFORM_TASK_QUEUE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace device_key {

// Runs tasks one after the other, in the order in which they were posted. The first task starts the
// thread. Tasks must not throw, and must own everything that they use: a task that never returns
// outlives the queue (see Join). Thread-safe, also for calls from tasks and from the destructors of
// what they own. Only the owner calls Join and the destructor, and not from a task.
class TaskQueue {
 public:
  // At most `limit` tasks wait; the running task is not counted.
  TaskQueue(std::string thread_name, size_t limit);

  // Closes the queue and waits for the worker without a limit, unless Join was called.
  ~TaskQueue();

  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  // Returns an id for Remove, which is never 0 and never reused. Throws `queue_full`, `closed`, or
  // `platform_error` when no thread can be started; the task is then destroyed and never runs.
  uint64_t Post(std::function<void()> task);

  // Removes a task that has not started. False when it has started or ended.
  bool Remove(uint64_t id);

  // Refuses further posts and drops the tasks that have not started. Returns their ids, in order,
  // so that the caller can settle them. The running task continues.
  std::vector<uint64_t> Close();

  // After Close: waits until the worker has ended, but at most for `timeout`. Returns whether it
  // has ended.
  bool WaitForEnd(std::chrono::milliseconds timeout);

  // Like WaitForEnd, but detaches a worker that has not ended because a task hangs in a device.
  // What the task owns stays alive with it.
  bool Join(std::chrono::milliseconds timeout);

 private:
  struct State;

  static void Work(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
  std::thread worker_;  // guarded by the state's mutex until the queue is closed
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_TASK_QUEUE_H_
