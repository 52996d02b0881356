#include "crypto/random.h"

#include <gtest/gtest.h>

namespace device_key {
namespace {

TEST(RandomBytes, ReturnsTheRequestedNumberOfBytes) {
  EXPECT_EQ(RandomBytes(0).size(), 0u);
  EXPECT_EQ(RandomBytes(1).size(), 1u);
  EXPECT_EQ(RandomBytes(32).size(), 32u);
}

TEST(RandomBytes, DiffersFromCallToCall) { EXPECT_NE(RandomBytes(32), RandomBytes(32)); }

}  // namespace
}  // namespace device_key
