#include "providers/tpm2/tcti_spec.h"

#include <gtest/gtest.h>

#include <string>

#include "platform/expect_error.h"

namespace device_key {
namespace {

TEST(TctiSpecTest, TakesNameAndConfigurationApart) {
  const TctiSpec spec = TctiSpec::Parse("swtpm:host=localhost,port=2321");

  EXPECT_EQ(spec.name, "swtpm");
  EXPECT_EQ(spec.conf, "host=localhost,port=2321");
  EXPECT_EQ(spec.str(), "swtpm:host=localhost,port=2321");
}

TEST(TctiSpecTest, LeavesLaterColonsToTheConfiguration) {
  EXPECT_EQ(TctiSpec::Parse("tabrmd:bus_name=a:b").conf, "bus_name=a:b");
}

TEST(TctiSpecTest, CompletesADeviceWithoutANode) {
  EXPECT_EQ(TctiSpec::Parse("device").str(), "device:/dev/tpmrm0");
  EXPECT_EQ(TctiSpec::Parse("device:").str(), "device:/dev/tpmrm0");
}

class TctiWithoutANameTest : public testing::TestWithParam<std::string> {};

TEST_P(TctiWithoutANameTest, IsRefused) {
  ExpectError(
      ErrorCode::kInvalidParams, [] { TctiSpec::Parse(GetParam()); }, "tcti:");
}

INSTANTIATE_TEST_SUITE_P(TctiSpec, TctiWithoutANameTest,
                         testing::Values("", ":", ":/dev/tpmrm0", "/dev/tpmrm0", "../evil:x",
                                         "Device:/dev/tpmrm0", "device /dev/tpmrm0",
                                         std::string("device:/dev/tpm\0rm0", 18),
                                         std::string("\0", 1)));

TEST(TctiSpecTest, TakesOnlyDeviceNodesAndTheAccessBrokerForHardware) {
  EXPECT_FALSE(TctiSpec::Parse("device:/dev/tpmrm0").is_simulator());
  EXPECT_FALSE(TctiSpec::Parse("device:/dev/tpm0").is_simulator());
  EXPECT_FALSE(TctiSpec::Parse("tabrmd:bus_type=system").is_simulator());
  for (const char* text : {"swtpm:path=/dev/tpmrm0", "mssim:port=1", "cmd:ssh elsewhere", "pcap:x",
                           "libtpms:", "devices:/dev/tpmrm0"}) {
    EXPECT_TRUE(TctiSpec::Parse(text).is_simulator()) << text;
  }
}

TEST(TctiSpecTest, KnowsWhereAResourceManagerSwapsObjects) {
  EXPECT_TRUE(TctiSpec::Parse("device:/dev/tpmrm0").has_resource_manager());
  EXPECT_TRUE(TctiSpec::Parse("device:/dev/tpmrm1").has_resource_manager());
  EXPECT_TRUE(TctiSpec::Parse("tabrmd:").has_resource_manager());
  EXPECT_FALSE(TctiSpec::Parse("device:/dev/tpm0").has_resource_manager());
  EXPECT_FALSE(TctiSpec::Parse("swtpm:path=/run/tpmrm0").has_resource_manager());
}

}  // namespace
}  // namespace device_key
