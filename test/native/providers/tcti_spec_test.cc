#include "providers/tpm2/tcti_spec.h"

#include <gtest/gtest.h>

#include <string>

#include "platform/expect_error.h"

namespace device_key {
namespace {

TEST(TctiSpecTest, SplitsNameAndConfiguration) {
  const TctiSpec spec = TctiSpec::Parse("swtpm:host=localhost,port=2321");

  EXPECT_EQ(spec.name, "swtpm");
  EXPECT_EQ(spec.conf, "host=localhost,port=2321");
  EXPECT_EQ(spec.str(), "swtpm:host=localhost,port=2321");
}

TEST(TctiSpecTest, KeepsLaterColonsInTheConfiguration) {
  EXPECT_EQ(TctiSpec::Parse("swtpm:path=a:b").conf, "path=a:b");
}

TEST(TctiSpecTest, CompletesADeviceWithoutANode) {
  EXPECT_EQ(TctiSpec::Parse("device").str(), "device:/dev/tpmrm0");
  EXPECT_EQ(TctiSpec::Parse("device:").str(), "device:/dev/tpmrm0");
}

class OtherTctiTest : public testing::TestWithParam<std::string> {};

TEST_P(OtherTctiTest, IsRefusedAndTheErrorNamesTheSupportedOnes) {
  ExpectError(
      ErrorCode::kInvalidParams, [] { TctiSpec::Parse(GetParam()); },
      "tcti: expected a TPM as \"device:<node>\" or \"swtpm:<configuration>\"");
}

INSTANTIATE_TEST_SUITE_P(TctiSpec, OtherTctiTest,
                         testing::Values("", ":", ":/dev/tpmrm0", "/dev/tpmrm0", "../evil:x",
                                         "Device:/dev/tpmrm0", "device /dev/tpmrm0",
                                         "devices:/dev/tpmrm0", "mssim:port=2321",
                                         "tabrmd:", "cmd:ssh elsewhere", "pcap:device",
                                         "libtpms:", std::string("device:/dev/tpm\0rm0", 18),
                                         std::string("\0", 1)));

TEST(TctiSpecTest, NamesTheSourceOfARefusedText) {
  ExpectError(
      ErrorCode::kInvalidParams, [] { TctiSpec::Parse("mssim:", "DEVICE_KEY_TCTI"); },
      "DEVICE_KEY_TCTI: expected");
}

TEST(TctiSpecTest, TreatsOnlyDeviceNodesAsHardware) {
  EXPECT_FALSE(TctiSpec::Parse("device:/dev/tpmrm0").is_simulator());
  EXPECT_FALSE(TctiSpec::Parse("device:/dev/tpm0").is_simulator());
  EXPECT_TRUE(TctiSpec::Parse("swtpm:path=/dev/tpmrm0").is_simulator());
}

}  // namespace
}  // namespace device_key
