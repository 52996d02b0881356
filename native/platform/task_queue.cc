#include "platform/task_queue.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

#include "platform/error.h"
#include "platform/thread_name.h"

namespace device_key {

// Shared with the worker, which may outlive the queue.
struct TaskQueue::State {
  struct Entry {
    uint64_t id;
    std::function<void()> task;
  };

  State(std::string name, size_t queue_limit) : thread_name(std::move(name)), limit(queue_limit) {}

  const std::string thread_name;
  const size_t limit;

  std::mutex mutex;
  std::condition_variable wake;   // for the worker: a task has been posted, or the queue is closed
  std::condition_variable ended;  // for Join
  std::deque<Entry> waiting;
  uint64_t last_id = 0;
  bool closed = false;
  bool running = false;  // from the start of the thread to its end
};

TaskQueue::TaskQueue(std::string thread_name, size_t limit)
    : state_(std::make_shared<State>(std::move(thread_name), limit)) {}

TaskQueue::~TaskQueue() {
  Close();
  if (worker_.joinable()) worker_.join();
}

uint64_t TaskQueue::Post(std::function<void()> task) {
  std::unique_lock lock(state_->mutex);
  if (state_->closed) {
    throw DeviceKeyError(ErrorCode::kClosed, "the key store is closed; open another");
  }
  if (state_->waiting.size() >= state_->limit) {
    throw DeviceKeyError(
        ErrorCode::kQueueFull,
        "the queue in front of the key hardware is full (" + std::to_string(state_->limit) +
            " operations wait): wait for some of them to end, or raise queueLimit");
  }
  if (!state_->running) {
    try {
      worker_ = std::thread([state = state_] { Work(state); });
    } catch (const std::system_error& error) {
      throw DeviceKeyError(ErrorCode::kPlatformError,
                           std::string("could not start a thread: ") + error.what());
    }
    state_->running = true;
  }
  const uint64_t id = ++state_->last_id;
  state_->waiting.push_back({id, std::move(task)});
  lock.unlock();  // the worker needs it when it wakes up
  state_->wake.notify_one();
  return id;
}

bool TaskQueue::Remove(uint64_t id) {
  State::Entry removed{};  // destroyed without the lock, because its destructors may call the queue
  const std::lock_guard lock(state_->mutex);
  const auto entry = std::find_if(state_->waiting.begin(), state_->waiting.end(),
                                  [id](const State::Entry& e) { return e.id == id; });
  if (entry == state_->waiting.end()) return false;
  removed = std::move(*entry);
  state_->waiting.erase(entry);
  return true;
}

std::vector<uint64_t> TaskQueue::Close() {
  std::deque<State::Entry> dropped;  // destroyed without the lock, as in Remove
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    dropped.swap(state_->waiting);
    state_->wake.notify_one();
  }
  std::vector<uint64_t> ids;
  ids.reserve(dropped.size());
  for (const State::Entry& entry : dropped) ids.push_back(entry.id);
  return ids;
}

bool TaskQueue::WaitForEnd(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  return state_->ended.wait_for(lock, timeout, [this] { return !state_->running; });
}

bool TaskQueue::Join(std::chrono::milliseconds timeout) {
  const bool ended = WaitForEnd(timeout);
  if (worker_.joinable()) {
    if (ended) {
      worker_.join();
    } else {
      worker_.detach();
    }
  }
  return ended;
}

void TaskQueue::Work(const std::shared_ptr<State>& state) {
  SetThisThreadName(state->thread_name);
  std::unique_lock lock(state->mutex);
  while (true) {
    state->wake.wait(lock, [&] { return state->closed || !state->waiting.empty(); });
    if (state->waiting.empty()) break;
    std::function<void()> task = std::move(state->waiting.front().task);
    state->waiting.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // without the lock, as in Remove
    lock.lock();
  }
  state->running = false;
  state->ended.notify_all();
}

}  // namespace device_key
