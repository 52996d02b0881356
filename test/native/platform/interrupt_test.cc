#include "platform/interrupt.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace device_key {
namespace {

bool Readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

TEST(InterruptTest, IsQuietUntilTriggered) {
  const Interrupt interrupt;

  EXPECT_FALSE(interrupt.triggered());
  EXPECT_FALSE(Readable(interrupt.wait_fd()));
}

TEST(InterruptTest, EndsEveryWaitOnceTriggered) {
  Interrupt interrupt;

  interrupt.Trigger();
  interrupt.Trigger();

  EXPECT_TRUE(interrupt.triggered());
  EXPECT_TRUE(Readable(interrupt.wait_fd()));
  EXPECT_TRUE(Readable(interrupt.wait_fd()));
}

}  // namespace
}  // namespace device_key
