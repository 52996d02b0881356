// Expects a DeviceKeyError with this code and a message that contains this text.
#ifndef DEVICE_KEY_TEST_PLATFORM_EXPECT_ERROR_H_
#define DEVICE_KEY_TEST_PLATFORM_EXPECT_ERROR_H_

#include <gtest/gtest.h>

#include <string>

#include "platform/error.h"

namespace device_key {

inline void PrintTo(ErrorCode code, std::ostream* out) { *out << ErrorCodeName(code); }

// Returns the message, or an empty string after a failed expectation.
template <class Call>
std::string ExpectError(ErrorCode code, Call call, const std::string& part_of_message = "") {
  try {
    call();
  } catch (const DeviceKeyError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part_of_message), std::string::npos)
        << "\"" << error.what() << "\" does not say \"" << part_of_message << "\"";
    return error.what();
  }
  ADD_FAILURE() << "expected " << ErrorCodeName(code) << ", but nothing was thrown";
  return "";
}

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PLATFORM_EXPECT_ERROR_H_
