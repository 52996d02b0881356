#include "protocol/json_reader.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "protocol/expect_error.h"

namespace device_key {
namespace {

using nlohmann::json;

std::string Repeat(const std::string& text, size_t count) {
  std::string repeated;
  for (size_t i = 0; i < count; ++i) repeated += text;
  return repeated;
}

void ExpectRefused(const std::string& text) {
  ExpectError(ErrorCode::kInvalidParams, "expected", [&] { ReadJson(text); });
}

TEST(ReadJson, BuildsTheDocument) {
  const json document = ReadJson(R"( {"a": [1, {"b": null}, true, "x", []], "c": {}, "d": 1.5} )");
  EXPECT_EQ(document.dump(), R"({"a":[1,{"b":null},true,"x",[]],"c":{},"d":1.5})");
}

TEST(ReadJson, RefusesAnythingButOneJsonValue) {
  for (const char* text : {"", " ", "{", "{}x", "{} {}", "{'a':1}", "{\"a\":1,}", "[1,]", "nul",
                           "// comment\n{}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":NaN}"}) {
    ExpectRefused(text);
  }
}

TEST(ReadJson, RefusesAByteOrderMark) { ExpectRefused("\xEF\xBB\xBF{}"); }

TEST(ReadJson, RefusesTextAfterANul) {
  ExpectRefused(std::string("{}\0", 3));
  ExpectRefused(std::string("{}\0{}", 5));
}

TEST(ReadJson, RefusesInvalidUtf8) {
  for (const char* bytes : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    ExpectRefused(std::string("{\"a\":\"") + bytes + "\"}");
    ExpectRefused(std::string("{\"") + bytes + "\":1}");
  }
}

TEST(ReadJson, RefusesLoneSurrogates) {
  for (const char* escape :
       {"\\ud800", "\\udfff", "\\ud800x", "\\ud800\\u0041", "\\udc00\\ud800"}) {
    ExpectRefused(std::string("{\"a\":\"") + escape + "\"}");
  }
  EXPECT_EQ(ReadJson(R"("\ud83d\ude00")"), json("\xf0\x9f\x98\x80")) << "a whole pair";
}

TEST(ReadJson, RefusesDuplicateMembersAtAnyDepth) {
  ExpectRefused(R"({"a":1,"a":1})");
  ExpectRefused(R"({"a":1,"\u0061":2})");
  ExpectRefused(R"([{"b":{"a":1,"b":2,"a":3}}])");
  EXPECT_NO_THROW(ReadJson(R"({"a":{"a":1},"b":[{"a":1},{"a":1}]})"));
}

TEST(ReadJson, ReportsDuplicateMembersOfThePayloadAsInvalidPayload) {
  ExpectError(ErrorCode::kInvalidPayload, "payload: expected every member once",
              [] { ReadJson(R"({"payload":{"x":{"a":1,"a":2}}})"); });
  ExpectError(ErrorCode::kInvalidParams, "expected every member once",
              [] { ReadJson(R"({"payload":{},"payload":{}})"); });
  ExpectError(ErrorCode::kInvalidParams, "expected every member once",
              [] { ReadJson(R"({"payload":{},"other":{"a":1,"a":2}})"); });
}

TEST(ReadJson, RefusesMoreThanOneMebibyte) {
  const std::string quotes = "\"\"";
  const std::string longest = '"' + std::string(kMaxJsonBytes - quotes.size(), 'x') + '"';
  EXPECT_NO_THROW(ReadJson(longest));
  ExpectError(ErrorCode::kInvalidParams, "expected at most 1 MiB",
              [&] { ReadJson(longest + ' '); });
}

TEST(ReadJson, RefusesDeepNestingWithoutUsingTheStack) {
  EXPECT_NO_THROW(ReadJson(Repeat("[", kMaxJsonDepth) + Repeat("]", kMaxJsonDepth)));
  for (const char* opening : {"[", "{\"a\":"}) {
    for (const size_t depth : {kMaxJsonDepth + 1, size_t{150'000}}) {
      ExpectError(ErrorCode::kInvalidParams, "expected JSON nested at most",
                  [&] { ReadJson(Repeat(opening, depth)); });
    }
  }
}

TEST(ReadJson, DoesNotQuoteTheTextInMessages) {
  try {
    ReadJson(R"({"token":"secret" "x"})");
    FAIL() << "nothing was thrown";
  } catch (const DeviceKeyError& error) {
    EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("secret")));
    EXPECT_THAT(error.what(), testing::HasSubstr("at byte 21"));
  }
}

std::optional<int64_t> Int64Of(const std::string& text) { return Int64Value(ReadJson(text)); }

TEST(Int64Value, AcceptsAnIntegerInAnyNotation) {
  for (const char* text : {"5", "5.0", "5e0", "5E+0", "0.5e1", "50e-1", "500.00e-2", "5.000"}) {
    EXPECT_EQ(Int64Of(text), 5) << text;
  }
  for (const char* text : {"0", "-0", "0.0", "-0.0", "0e9", "0.000e-99"}) {
    EXPECT_EQ(Int64Of(text), 0) << text;
  }
  EXPECT_EQ(Int64Of("-12e2"), -1200);
  EXPECT_EQ(Int64Of("1e18"), 1'000'000'000'000'000'000);
}

TEST(Int64Value, RefusesFractions) {
  for (const char* text : {"5.5", "-0.1", "5e-1", "1e-300", "1800000000.0000000000000000001",
                           "9007199254740993.5", "1e-2147483649"}) {
    EXPECT_EQ(Int64Of(text), std::nullopt) << text;
  }
}

TEST(Int64Value, AcceptsExactlyTheRangeOfInt64) {
  EXPECT_EQ(Int64Of("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(Int64Of("9223372036854775807.0"), INT64_MAX);
  EXPECT_EQ(Int64Of("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(Int64Of("-9223372036854775808.0"), INT64_MIN);
  for (const char* text : {"9223372036854775808", "9223372036854775808.0", "-9223372036854775809",
                           "-9223372036854775809.0", "18446744073709551615", "18446744073709551616",
                           "1e19", "1e300"}) {
    EXPECT_EQ(Int64Of(text), std::nullopt) << text;
  }
}

TEST(Int64Value, DoesNotRoundLikeADouble) {
  EXPECT_EQ(Int64Of("9007199254740993"), 9007199254740993);
  EXPECT_EQ(Int64Of("9007199254740993.0"), 9007199254740993);
  EXPECT_EQ(Int64Of("9007199254740993e0"), 9007199254740993);
}

TEST(Int64Value, RefusesOtherTypes) {
  for (const char* text : {"null", "true", "\"5\"", "[5]", "{}"}) {
    EXPECT_EQ(Int64Of(text), std::nullopt) << text;
  }
}

// Hosts such as Electron set the process's locale to the user's.
TEST(Int64Value, ReadsNumbersInALocaleWithADecimalComma) {
  const std::string locales = ::testing::TempDir() + "locales." + std::to_string(getpid());
  const std::string compile =
      "mkdir -p " + locales + " && localedef -i de_DE -f UTF-8 " + locales + "/de_DE.UTF-8";
  ASSERT_EQ(std::system(compile.c_str()), 0);
  setenv("LOCPATH", locales.c_str(), 1);
  ASSERT_NE(std::setlocale(LC_NUMERIC, "de_DE.UTF-8"), nullptr);
  std::filesystem::remove_all(locales);
  EXPECT_EQ(Int64Of("5.0"), 5);
  EXPECT_EQ(Int64Of("5.5"), std::nullopt);
  std::setlocale(LC_NUMERIC, "C");
}

}  // namespace
}  // namespace device_key
