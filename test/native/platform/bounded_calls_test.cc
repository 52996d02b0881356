#include "platform/bounded_calls.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "platform/error.h"
#include "platform/expect_error.h"

namespace device_key {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Threads = BoundedCalls::Threads;

OperationLimits NoHurry() { return {.deadline = steady_clock::now() + std::chrono::hours(1)}; }
OperationLimits Within(milliseconds time) { return {.deadline = steady_clock::now() + time}; }

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(1));
}

// Calls that hang until Release is called.
class HangingCalls {
 public:
  ~HangingCalls() {
    Release();
    WaitUntil([] { return BoundedCalls::abandoned() == 0; });
  }

  // Stops waiting for a call that has started. Its result is 7.
  void AbandonOne(BoundedCalls& calls, std::function<void(const int&)> undo = nullptr) {
    Interrupt interrupt;
    std::promise<void> started;
    std::thread closer([&] {
      started.get_future().wait();
      interrupt.Trigger();
    });
    OperationLimits limits = NoHurry();
    limits.interrupt = &interrupt;
    const auto work = [&started, released = released_] {
      started.set_value();
      released.wait();
      return 7;
    };
    ExpectError(
        ErrorCode::kClosed, [&] { calls.Run(limits, work, std::move(undo)); }, "closed");
    closer.join();
  }

  void Release() {
    if (released_.wait_for(milliseconds(0)) != std::future_status::ready) release_.set_value();
  }
  std::shared_future<void> released() const { return released_; }

 private:
  std::promise<void> release_;
  const std::shared_future<void> released_ = release_.get_future().share();
};

std::unique_ptr<BoundedCalls> NewCalls(Threads threads) {
  return std::make_unique<BoundedCalls>(
      threads, "bounded-calls", BoundedCalls::Messages{.timeout = "too slow", .busy = "busy"});
}

class BoundedCallsTest : public testing::TestWithParam<Threads> {
 protected:
  std::unique_ptr<BoundedCalls> calls_ = NewCalls(GetParam());
  HangingCalls hanging_;  // released before `calls_` is destroyed
};

TEST_P(BoundedCallsTest, ReturnsTheResultOfTheWork) {
  EXPECT_EQ(calls_->Run(NoHurry(), [] { return std::string("result"); }), "result");
}

TEST_P(BoundedCallsTest, RunsWorkThatReturnsNothing) {
  bool ran = false;
  calls_->Run(NoHurry(), [&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST_P(BoundedCallsTest, ThrowsTheErrorOfTheWork) {
  ExpectError(
      ErrorCode::kKeyLost,
      [&] {
        calls_->Run(NoHurry(), []() -> int { throw DeviceKeyError(ErrorCode::kKeyLost, "lost"); });
      },
      "lost");
}

TEST_P(BoundedCallsTest, RunsTheWorkOnAnotherThread) {
  EXPECT_NE(calls_->Run(NoHurry(), [] { return std::this_thread::get_id(); }),
            std::this_thread::get_id());
}

TEST_P(BoundedCallsTest, DestroysTheWorkBeforeItReturns) {
  const auto owned = std::make_shared<int>(7);
  calls_->Run(
      NoHurry(), [owned] { return *owned; }, [owned](const int&) {});
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_P(BoundedCallsTest, TimesOutWhenTheWorkHangs) {
  const auto work = [released = hanging_.released()] { released.wait(); };
  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { calls_->Run(Within(milliseconds(500)), work); }, "too slow");
}

TEST_P(BoundedCallsTest, DoesNotStartWorkAfterItsDeadline) {
  bool ran = false;
  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { calls_->Run(Within(milliseconds(0)), [&] { ran = true; }); },
      "too slow");
  calls_->Run(NoHurry(), [] {});
  EXPECT_FALSE(ran);
}

TEST_P(BoundedCallsTest, DoesNotStartWorkOfAClosedStore) {
  Interrupt interrupt;
  interrupt.Trigger();
  OperationLimits limits = NoHurry();
  limits.interrupt = &interrupt;
  bool ran = false;
  ExpectError(
      ErrorCode::kClosed, [&] { calls_->Run(limits, [&] { ran = true; }); }, "closed");
  calls_->Run(NoHurry(), [] {});
  EXPECT_FALSE(ran);
}

TEST_P(BoundedCallsTest, GivesALateResultToUndo) {
  std::promise<int> undone;
  hanging_.AbandonOne(*calls_, [&](const int& result) { undone.set_value(result); });
  hanging_.Release();
  EXPECT_EQ(undone.get_future().get(), 7);
  WaitUntil([] { return BoundedCalls::abandoned() == 0; });
}

TEST_P(BoundedCallsTest, SurvivesAnUndoThatFails) {
  hanging_.AbandonOne(*calls_,
                      [](const int&) { throw DeviceKeyError(ErrorCode::kKeyLost, "lost"); });
  hanging_.Release();
  EXPECT_EQ(calls_->Run(NoHurry(), [] { return 7; }), 7);
}

TEST_P(BoundedCallsTest, IsDestroyedWhileACallHangs) {
  hanging_.AbandonOne(*calls_);
  calls_.reset();
}

INSTANTIATE_TEST_SUITE_P(Threads, BoundedCallsTest,
                         testing::Values(Threads::kOne, Threads::kOnePerCall),
                         [](const auto& tested) {
                           return tested.param == Threads::kOne ? "One" : "OnePerCall";
                         });

TEST(BoundedCallsOnOneThreadTest, AreBusyWhileACallHangs) {
  const auto calls = NewCalls(Threads::kOne);
  HangingCalls hanging;
  hanging.AbandonOne(*calls);
  bool ran = false;
  ExpectError(
      ErrorCode::kDeviceBusy, [&] { calls->Run(Within(milliseconds(50)), [&] { ran = true; }); },
      "busy");
  hanging.Release();
  calls->Run(NoHurry(), [] {});
  EXPECT_FALSE(ran);
}

TEST(BoundedCallsOnOneThreadPerCallTest, RunWhileAnotherHangs) {
  const auto calls = NewCalls(Threads::kOnePerCall);
  HangingCalls hanging;
  hanging.AbandonOne(*calls);
  EXPECT_EQ(BoundedCalls::abandoned(), 1);
  EXPECT_EQ(calls->Run(NoHurry(), [] { return 7; }), 7);
}

TEST(BoundedCallsOnOneThreadPerCallTest, AreRefusedWhileTooManyHang) {
  const auto calls = NewCalls(Threads::kOnePerCall);
  {
    HangingCalls hanging;
    for (int i = 0; i < BoundedCalls::kMaxAbandoned; ++i) hanging.AbandonOne(*calls);
    ExpectError(
        ErrorCode::kDeviceBusy, [&] { calls->Run(NoHurry(), [] {}); }, "busy");
  }
  EXPECT_EQ(calls->Run(NoHurry(), [] { return 7; }), 7);
}

}  // namespace
}  // namespace device_key
