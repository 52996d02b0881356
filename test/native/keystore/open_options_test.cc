#include "keystore/open_options.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "platform/expect_error.h"

namespace device_key {
namespace {

TEST(OpenOptionsTest, AcceptsEveryOption) {
  const OpenOptions options = DecodeOpenOptions(
      R"({"directory":"/d","timeoutMs":1,"queueLimit":2,"tcti":"swtpm:","allowSimulator":true,"userPresence":{"reuseSeconds":60}})");

  EXPECT_EQ(options.directory, "/d");
  EXPECT_EQ(options.timeout, std::chrono::milliseconds(1));
  EXPECT_EQ(options.queue_limit, 2u);
  EXPECT_EQ(options.tcti, "swtpm:");
  EXPECT_EQ(options.allow_simulator, true);
  EXPECT_TRUE(options.user_presence);
  EXPECT_EQ(options.user_presence_reuse, std::chrono::seconds(60));
}

TEST(OpenOptionsTest, TakesAbsentOptionsFromTheEnvironment) {
  const OpenOptions options = DecodeOpenOptions("{}");

  EXPECT_FALSE(options.directory.empty());
  EXPECT_FALSE(options.tcti.has_value());
  EXPECT_FALSE(options.allow_simulator.has_value());
}

#if !defined(_WIN32)
TEST(OpenOptionsTest, WithoutTheEnvironmentIgnoresEveryVariable) {
  setenv("DEVICE_KEY_HOME", "/chosen/by/a/variable", 1);
  setenv("HOME", "/home/of/a/variable", 1);
  setenv("DEVICE_KEY_TCTI", "swtpm:", 1);
  const OpenOptions with = DecodeOpenOptions(R"({"environment":true})");
  const OpenOptions without = DecodeOpenOptions(R"({"environment":false})");
  unsetenv("DEVICE_KEY_HOME");
  unsetenv("HOME");

  EXPECT_EQ(with.directory, "/chosen/by/a/variable");
  EXPECT_EQ(with.environment.Get("DEVICE_KEY_TCTI"), "swtpm:");
  EXPECT_EQ(without.directory.string().find("variable"), std::string::npos);
  EXPECT_FALSE(without.environment.Get("DEVICE_KEY_TCTI"));
  unsetenv("DEVICE_KEY_TCTI");
}
#endif

struct OptionCase {
  const char* json;
  const char* part_of_message;
};

void PrintTo(const OptionCase& c, std::ostream* out) { *out << c.json; }

class BadOptionTest : public testing::TestWithParam<OptionCase> {};

TEST_P(BadOptionTest, IsRefusedByName) {
  ExpectError(
      ErrorCode::kInvalidParams, [] { DecodeOpenOptions(GetParam().json); },
      GetParam().part_of_message);
}

INSTANTIATE_TEST_SUITE_P(
    OpenOptions, BadOptionTest,
    testing::Values(OptionCase{"", "options"}, OptionCase{"[]", "options"},
                    OptionCase{R"({"directory":""})", "options.directory"},
                    OptionCase{R"({"directory":7})", "options.directory"},
                    OptionCase{R"({"directory":"a\u0000b"})", "options.directory"},
                    OptionCase{R"({"tcti":""})", "options.tcti"},
                    OptionCase{R"({"tcti":null})", "options.tcti"},
                    OptionCase{R"({"allowSimulator":1})", "options.allowSimulator"},
                    OptionCase{R"({"environment":"no"})", "options.environment"},
                    OptionCase{R"({"userPresence":"yes"})", "options.userPresence"},
                    OptionCase{R"({"userPresence":{}})", "options.userPresence"},
                    OptionCase{R"({"userPresence":{"reuseSeconds":0}})",
                               "options.userPresence.reuseSeconds"},
                    OptionCase{R"({"userPresence":{"reuseSeconds":3601}})",
                               "options.userPresence.reuseSeconds"},
                    OptionCase{R"({"timeoutMs":0})", "options.timeoutMs"},
                    OptionCase{R"({"timeoutMs":-1})", "options.timeoutMs"},
                    OptionCase{R"({"timeoutMs":1.5})", "options.timeoutMs"},
                    OptionCase{R"({"timeoutMs":3600001})", "options.timeoutMs"},
                    OptionCase{R"({"timeoutMs":18446744073709551615})", "options.timeoutMs"},
                    OptionCase{R"({"timeoutMs":9223372036854775808})", "options.timeoutMs"},
                    OptionCase{R"({"queueLimit":0})", "options.queueLimit"},
                    OptionCase{R"({"queueLimit":"9"})", "options.queueLimit"},
                    OptionCase{R"({"timeout":1})", "options.timeout"}));

}  // namespace
}  // namespace device_key
