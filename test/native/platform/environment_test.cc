#include "platform/environment.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace device_key {
namespace {

constexpr char kName[] = "DEVICE_KEY_ENVIRONMENT_TEST";

// test/node/privileged.test.ts shows that privileged processes read no variables.
TEST(EnvironmentTest, ReturnsTheValueOfAVariable) {
  setenv(kName, "a value", 1);
  EXPECT_EQ(Environment().Get(kName), "a value");
  unsetenv(kName);
  EXPECT_EQ(Environment().Get(kName), std::nullopt);
}

TEST(EnvironmentTest, TreatsAnEmptyVariableAsNotSet) {
  setenv(kName, "", 1);
  EXPECT_EQ(Environment().Get(kName), std::nullopt);
  unsetenv(kName);
}

TEST(EnvironmentTest, NoneHasNoVariables) {
  setenv(kName, "a value", 1);
  EXPECT_EQ(Environment::None().Get(kName), std::nullopt);
  unsetenv(kName);
}

}  // namespace
}  // namespace device_key
