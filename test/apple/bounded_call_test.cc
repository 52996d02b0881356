#include "providers/apple/bounded_call.h"

#include <future>
#include <vector>

#include "apple_fixture.h"
#include "platform/interrupt.h"

namespace device_key {
namespace {

using std::chrono::steady_clock;

OperationLimits Soon() { return {.deadline = steady_clock::now() + std::chrono::milliseconds(20)}; }

class BoundedCallTest : public AppleTest {};

TEST_F(BoundedCallTest, ReturnsWhatTheWorkReturns) {
  EXPECT_EQ(BoundedCall<int>(NoHurry(), [] { return 7; }), 7);
}

TEST_F(BoundedCallTest, ThrowsWhatTheWorkThrows) {
  EXPECT_EQ(ErrorOf([] {
              BoundedCall<int>(NoHurry(),
                               []() -> int { throw DeviceKeyError(ErrorCode::kKeyLost, ""); });
            }).code(),
            ErrorCode::kKeyLost);
}

TEST_F(BoundedCallTest, EndsAWaitWhenTheStoreIsClosed) {
  Interrupt interrupt;
  std::promise<void> go;
  OperationLimits limits = NoHurry();
  limits.interrupt = &interrupt;
  std::thread closer([&] { interrupt.Trigger(); });

  EXPECT_EQ(ErrorOf([&] {
              BoundedCall<int>(limits, [gone = go.get_future().share()] {
                gone.wait();
                return 0;
              });
            }).code(),
            ErrorCode::kClosed);
  closer.join();
  go.set_value();
  WaitUntil([] { return g_abandoned_calls == 0; });
}

TEST_F(BoundedCallTest, HandsALateResultToUndo) {
  std::promise<void> go;
  std::promise<int> undone;
  EXPECT_EQ(ErrorOf([&] {
              BoundedCall<int>(
                  Soon(),
                  [gone = go.get_future().share()] {
                    gone.wait();
                    return 7;
                  },
                  [&](const int& result) { undone.set_value(result); });
            }).code(),
            ErrorCode::kDeviceTimeout);
  go.set_value();

  EXPECT_EQ(undone.get_future().get(), 7);
  WaitUntil([] { return g_abandoned_calls == 0; });
}

TEST_F(BoundedCallTest, RefusesMoreWorkWhileTooMuchHangs) {
  std::promise<void> go;
  const auto hang = [gone = go.get_future().share()] {
    gone.wait();
    return 0;
  };
  DeviceKeyError last(ErrorCode::kPlatformError, "");
  for (int i = 0; i < 17; ++i) {
    last = ErrorOf([&] { BoundedCall<int>(Soon(), hang); });
  }
  EXPECT_EQ(last.code(), ErrorCode::kDeviceBusy);

  go.set_value();
  WaitUntil([] { return g_abandoned_calls == 0; });
  EXPECT_EQ(BoundedCall<int>(NoHurry(), [] { return 7; }), 7);
}

}  // namespace
}  // namespace device_key
