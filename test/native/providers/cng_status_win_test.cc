#include "providers/cng/cng_status.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/vectors.h"

namespace device_key {
namespace {

TEST(CngStatus, HasACodeAndACureForEachStatusOnce) {
  std::set<uint32_t> seen;
  for (const CngStatus& entry : CngStatuses()) {
    EXPECT_TRUE(seen.insert(entry.status).second) << entry.name;
    const DeviceKeyError error = CngError("sign", static_cast<int32_t>(entry.status));
    EXPECT_EQ(error.code(), entry.code) << entry.name;
    EXPECT_EQ(error.platform_status(), entry.status);
    EXPECT_NE(std::string(error.what()).find(entry.name), std::string::npos);
    EXPECT_NE(std::string(error.what()).find(entry.cure), std::string::npos);
  }
}

// test/windows/status.test.ts reads this list and tries each status.
TEST(CngStatus, EqualTheListForTheTestsInJavaScript) {
  std::vector<std::string> expected;
  for (const CngStatus& entry : CngStatuses()) {
    char number[16];
    std::snprintf(number, sizeof number, "0x%08x", static_cast<unsigned>(entry.status));
    expected.push_back(std::string(number) + " " + entry.name + " " +
                       std::string(ErrorCodeName(entry.code)));
  }
  std::vector<std::string> listed;
  std::ifstream file = OpenVectors("cng-statuses.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0x")) listed.push_back(line);
  }
  EXPECT_EQ(listed, expected);
}

TEST(CngStatus, IgnoresThePositionInATpmResponseCode) {
  // TPM_20_E_INTEGRITY (0x9f) for the first parameter.
  EXPECT_EQ(CngError("sign", static_cast<int32_t>(0x802801DF)).code(), ErrorCode::kKeyLost);
}

TEST(CngStatus, KeepsTheNumberOfAnUnknownStatus) {
  const DeviceKeyError error = CngError("sign", static_cast<int32_t>(0x8009FFFE));
  EXPECT_EQ(error.code(), ErrorCode::kPlatformError);
  EXPECT_EQ(error.platform_status(), 0x8009FFFEu);
  EXPECT_NE(std::string(error.what()).find("0x8009fffe"), std::string::npos);
}

TEST(CngStatus, DoesNotThrowForASuccess) { EXPECT_NO_THROW(CheckCng("sign", 0)); }

}  // namespace
}  // namespace device_key
