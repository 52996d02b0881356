#include "protocol/target_policy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "protocol/expect_error.h"

namespace device_key {
namespace {

using nlohmann::json;
using testing::ElementsAre;

bool Allows(const TargetPolicy& policy, const char* text) {
  const std::optional<Origin> origin = ParseOrigin(text);
  EXPECT_TRUE(origin) << text;
  return origin && policy.AllowsOrigin(*origin);
}

TEST(DefaultTargetPolicy, AllowsTheServiceItsSubdomainsAndLoopback) {
  for (const char* text :
       {"https://chatgpt.com", "https://chatgpt.com:8443", "https://api.chatgpt.com",
        "https://a.b.c.chatgpt.com", "https://chatgpt-staging.com", "https://x.chatgpt-staging.com",
        "http://localhost:8080", "https://localhost", "http://127.0.0.1", "https://127.1.2.3:9",
        "http://[::1]:3000"}) {
    EXPECT_TRUE(Allows(TargetPolicy::Default(), text)) << text;
  }
}

TEST(DefaultTargetPolicy, RefusesOtherHostsAndPlainHttp) {
  for (const char* text :
       {"http://chatgpt.com", "http://api.chatgpt.com", "https://chatgpt.com.evil.org",
        "https://evilchatgpt.com", "https://chatgpt.org", "https://com", "https://gpt.com",
        "https://chatgpt-staging.com.evil.org", "https://chatgpt-staging-x.com",
        "https://app.localhost"}) {
    EXPECT_FALSE(Allows(TargetPolicy::Default(), text)) << text;
  }
}

TEST(TargetPolicy, DistinguishesAHostFromItsSubdomains) {
  TargetPolicy policy = TargetPolicy::Default();
  policy.https_hosts = {"example.org"};
  EXPECT_TRUE(Allows(policy, "https://example.org"));
  EXPECT_FALSE(Allows(policy, "https://www.example.org"));
  policy.https_hosts = {"*.example.org"};
  EXPECT_FALSE(Allows(policy, "https://example.org"));
  EXPECT_TRUE(Allows(policy, "https://www.example.org"));
}

TEST(TargetPolicy, AllowsAnyPortOfAHostWithoutAPort) {
  TargetPolicy policy = TargetPolicy::Default();
  policy.https_hosts = {"example.org", "*.example.com"};
  for (const char* text : {"https://example.org", "https://example.org:8443",
                           "https://rc.example.com", "https://rc.example.com:1"}) {
    EXPECT_TRUE(Allows(policy, text)) << text;
  }
  EXPECT_FALSE(Allows(policy, "http://example.org:8443"));
}

TEST(TargetPolicy, AllowsOnlyTheNamedPortOfAHost) {
  TargetPolicy policy = TargetPolicy::Default();
  policy.https_hosts = {"example.org:8443", "*.example.com:80"};
  EXPECT_TRUE(Allows(policy, "https://example.org:8443"));
  EXPECT_TRUE(Allows(policy, "https://rc.example.com:80"));
  for (const char* text :
       {"https://example.org", "https://example.org:844", "https://example.org:18443",
        "https://rc.example.com", "https://rc.example.com:8443", "https://rc.example.org:8443"}) {
    EXPECT_FALSE(Allows(policy, text)) << text;
  }
}

TEST(TargetPolicy, CanRefuseLoopback) {
  TargetPolicy policy = TargetPolicy::Default();
  policy.allow_loopback = false;
  for (const char* text : {"http://localhost", "https://127.0.0.1", "http://[::1]"}) {
    EXPECT_FALSE(Allows(policy, text)) << text;
  }
}

TEST(DecodeTargetPolicy, UsesTheDefaultsOfAbsentMembers) {
  const TargetPolicy policy = DecodeTargetPolicy(json::object());
  EXPECT_EQ(policy.https_hosts, TargetPolicy::Default().https_hosts);
  EXPECT_TRUE(policy.allow_loopback);
  EXPECT_THAT(policy.connection_paths,
              ElementsAre("/api/codex/remote/control/client", "/wham/remote/control/client"));
  EXPECT_THAT(policy.enrollment_paths, ElementsAre("/api/codex/remote/control/client/enroll",
                                                   "/wham/remote/control/client/enroll"));
  EXPECT_EQ(policy.max_lifetime_seconds, 900);
}

TEST(DecodeTargetPolicy, ReplacesTheGivenMembers) {
  const TargetPolicy policy = DecodeTargetPolicy({{"httpsHosts", {"example.org", "*.example.org"}},
                                                  {"allowLoopback", false},
                                                  {"connectionPaths", {"/connect"}},
                                                  {"enrollmentPaths", json::array()},
                                                  {"maxLifetimeSeconds", 60}});
  EXPECT_THAT(policy.https_hosts, ElementsAre("example.org", "*.example.org"));
  EXPECT_FALSE(policy.allow_loopback);
  EXPECT_THAT(policy.connection_paths, ElementsAre("/connect"));
  EXPECT_THAT(policy.enrollment_paths, ElementsAre());
  EXPECT_EQ(policy.max_lifetime_seconds, 60);
}

void ExpectRefused(const json& targets, const std::string& beginning) {
  ExpectError(ErrorCode::kInvalidParams, beginning, [&] { DecodeTargetPolicy(targets); });
}

TEST(DecodeTargetPolicy, RefusesAnythingButAnObject) {
  ExpectRefused(nullptr, "targets: expected an object");
  ExpectRefused(json::array(), "targets: expected an object");
}

TEST(DecodeTargetPolicy, NamesTheMemberOfTheWrongType) {
  ExpectRefused({{"httpsHosts", "example.org"}}, "targets.httpsHosts: expected an array");
  ExpectRefused({{"allowLoopback", "no"}}, "targets.allowLoopback: expected a boolean");
  ExpectRefused({{"connectionPaths", nullptr}}, "targets.connectionPaths: expected an array");
  ExpectRefused({{"enrollmentPaths", 1}}, "targets.enrollmentPaths: expected an array");
  ExpectRefused({{"maxLifetimeSeconds", "60"}}, "targets.maxLifetimeSeconds: expected a positive");
}

TEST(DecodeTargetPolicy, RefusesUnknownMembers) {
  ExpectRefused({{"httpHosts", json::array()}}, "targets.httpHosts: expected no such member");
}

TEST(DecodeTargetPolicy, RefusesHostsThatNoOriginCouldMatch) {
  for (const json& host : {json("https://example.org"),
                           json("Example.org"),
                           json("example.org."),
                           json("*"),
                           json("*."),
                           json("*.*.org"),
                           json("a.*.org"),
                           json("*org"),
                           json("example.org:443"),
                           json("example.org:"),
                           json("example.org:0"),
                           json("example.org:08443"),
                           json("*:8443"),
                           json("example.org:65536"),
                           json("example.org:8443:1"),
                           json("localhost:8443"),
                           json("10.0.0.1"),
                           json(""),
                           json(1),
                           json("localhost"),
                           json("*.localhost")}) {
    ExpectRefused({{"httpsHosts", {"example.org", host}}}, "targets.httpsHosts[1]: expected");
  }
}

TEST(DecodeTargetPolicy, RefusesInvalidPaths) {
  for (const json& path : {json(""), json("connect"), json("/a?b"), json("/a#b"), json("/a b"),
                           json("/a\n"), json("/\xc3\xa9"), json("\\a"), json(1)}) {
    ExpectRefused({{"connectionPaths", {"/connect", path}}},
                  "targets.connectionPaths[1]: expected a path");
  }
}

TEST(DecodeTargetPolicy, RefusesALifetimeThatIsNotPositive) {
  for (const json& seconds : {json(0), json(-1), json(0.5), json(UINT64_MAX)}) {
    ExpectRefused({{"maxLifetimeSeconds", seconds}},
                  "targets.maxLifetimeSeconds: expected a positive integer");
  }
  EXPECT_EQ(DecodeTargetPolicy({{"maxLifetimeSeconds", 1}}).max_lifetime_seconds, 1);
}

}  // namespace
}  // namespace device_key
