#include "platform/task_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "platform/expect_error.h"

namespace device_key {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

// A task that occupies the worker until it is released.
class Blocker {
 public:
  std::function<void()> Task() {
    return [state = state_] {
      state->started.set_value();
      state->release.get_future().wait();
      state->ended.set_value();
    };
  }
  void WaitForStart() { state_->started.get_future().wait(); }
  void Release() { state_->release.set_value(); }
  void WaitForEnd() { state_->ended.get_future().wait(); }

 private:
  struct State {
    std::promise<void> started;
    std::promise<void> release;
    std::promise<void> ended;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

TEST(TaskQueueTest, RunsTasksInOrderOnOneThread) {
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  TaskQueue queue("test", 10);
  for (int i = 0; i < 3; ++i) {
    queue.Post([&, i] {
      order.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  std::promise<void> done;
  queue.Post([&] { done.set_value(); });
  done.get_future().wait();

  EXPECT_THAT(order, ElementsAre(0, 1, 2));
  EXPECT_THAT(threads, ElementsAre(threads[0], threads[0], threads[0]));
  EXPECT_NE(threads[0], std::this_thread::get_id());
}

#if !defined(_WIN32)
TEST(TaskQueueTest, NamesItsThreadWithinTheSystemsLimit) {
  TaskQueue queue("device-key-tpm2-worker", 1);
  std::promise<std::string> name;
  queue.Post([&] {
    char text[32] = "";
    pthread_getname_np(pthread_self(), text, sizeof text);
    name.set_value(text);
  });

  EXPECT_EQ(name.get_future().get(), "device-key-tpm2");
}
#endif

TEST(TaskQueueTest, RefusesTasksBeyondItsLimitAndNamesIt) {
  TaskQueue queue("test", 2);
  Blocker blocker;
  queue.Post(blocker.Task());
  blocker.WaitForStart();
  queue.Post([] {});
  queue.Post([] {});

  ExpectError(
      ErrorCode::kQueueFull, [&] { queue.Post([] {}); }, "2 operations");
  blocker.Release();
}

TEST(TaskQueueTest, AcceptsTasksAgainOnceOthersHaveEnded) {
  TaskQueue queue("test", 1);
  Blocker blocker;
  queue.Post(blocker.Task());
  blocker.WaitForStart();
  const uint64_t waiting = queue.Post([] {});
  queue.Remove(waiting);

  EXPECT_NO_THROW(queue.Post([] {}));
  blocker.Release();
}

TEST(TaskQueueTest, RemovesATaskThatHasNotStarted) {
  bool ran = false;
  TaskQueue queue("test", 10);
  Blocker blocker;
  queue.Post(blocker.Task());
  blocker.WaitForStart();
  const uint64_t id = queue.Post([&] { ran = true; });

  EXPECT_TRUE(queue.Remove(id));
  EXPECT_FALSE(queue.Remove(id));

  blocker.Release();
  std::promise<void> done;
  queue.Post([&] { done.set_value(); });
  done.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST(TaskQueueTest, DoesNotRemoveATaskThatRuns) {
  TaskQueue queue("test", 10);
  Blocker blocker;
  const uint64_t id = queue.Post(blocker.Task());
  blocker.WaitForStart();

  EXPECT_FALSE(queue.Remove(id));
  blocker.Release();
}

TEST(TaskQueueTest, CloseDropsWaitingTasksAndReturnsTheirIds) {
  bool ran = false;
  TaskQueue queue("test", 10);
  Blocker blocker;
  queue.Post(blocker.Task());
  blocker.WaitForStart();
  const uint64_t first = queue.Post([&] { ran = true; });
  const uint64_t second = queue.Post([&] { ran = true; });

  EXPECT_THAT(queue.Close(), ElementsAre(first, second));
  EXPECT_THAT(queue.Close(), IsEmpty());

  blocker.Release();
  EXPECT_TRUE(queue.Join(hours(1)));
  EXPECT_FALSE(ran);
}

TEST(TaskQueueTest, RefusesTasksOnceClosed) {
  TaskQueue queue("test", 10);
  queue.Close();

  ExpectError(ErrorCode::kClosed, [&] { queue.Post([] {}); });
}

TEST(TaskQueueTest, JoinsImmediatelyWhenItNeverStarted) {
  TaskQueue queue("test", 10);
  queue.Close();

  EXPECT_TRUE(queue.Join(milliseconds(0)));
}

TEST(TaskQueueTest, DetachesAHangingWorkerAndKeepsItsTaskAlive) {
  Blocker blocker;
  {
    TaskQueue queue("test", 10);
    queue.Post(blocker.Task());
    blocker.WaitForStart();
    queue.Close();
    EXPECT_FALSE(queue.Join(milliseconds(1)));
  }
  // The queue is destroyed. The task returns from its device and can still use what it owns.
  blocker.Release();
  blocker.WaitForEnd();
}

TEST(TaskQueueTest, DestroysATaskBeforeTheNextOneStarts) {
  TaskQueue queue("test", 10);
  const auto owned = std::make_shared<int>(0);
  std::weak_ptr<int> watched = owned;
  Blocker blocker;
  queue.Post(blocker.Task());
  blocker.WaitForStart();
  queue.Post([held = std::make_shared<std::shared_ptr<int>>(owned)] {});
  std::promise<long> owners;
  queue.Post([&] { owners.set_value(watched.use_count()); });
  blocker.Release();

  EXPECT_EQ(owners.get_future().get(), 1);
}

TEST(TaskQueueTest, CanBeCalledByDestructorsOfAFinishedTask) {
  TaskQueue queue("test", 10);
  std::promise<void> called;
  const auto call = [&](void*) {
    queue.Post([] {});
    called.set_value();
  };
  queue.Post([held = std::shared_ptr<void>(nullptr, call)] {});

  called.get_future().wait();
}

TEST(TaskQueueTest, CanBeCalledByDestructorsOfADroppedTask) {
  TaskQueue queue("test", 10);
  Blocker blocker;
  queue.Post(blocker.Task());
  blocker.WaitForStart();
  const auto reenter = [&queue](void*) { queue.Remove(0); };
  queue.Post([held = std::shared_ptr<void>(nullptr, reenter)] {});
  const uint64_t last = queue.Post([held = std::shared_ptr<void>(nullptr, reenter)] {});

  EXPECT_TRUE(queue.Remove(last));
  EXPECT_EQ(queue.Close().size(), 1u);
  blocker.Release();
}

}  // namespace
}  // namespace device_key
