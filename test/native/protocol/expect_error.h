// Expects a code and a message from a DeviceKeyError.
#ifndef DEVICE_KEY_TEST_PROTOCOL_EXPECT_ERROR_H_
#define DEVICE_KEY_TEST_PROTOCOL_EXPECT_ERROR_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "platform/error.h"

namespace device_key {

// Expects `action` to throw `code` with a message that begins with `beginning`.
template <typename Action>
void ExpectError(ErrorCode code, const std::string& beginning, Action action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown; expected: " << beginning;
  } catch (const DeviceKeyError& error) {
    EXPECT_EQ(ErrorCodeName(error.code()), ErrorCodeName(code)) << error.what();
    EXPECT_THAT(error.what(), testing::StartsWith(beginning));
  }
}

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PROTOCOL_EXPECT_ERROR_H_
