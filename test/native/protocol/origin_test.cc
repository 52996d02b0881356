#include "protocol/origin.h"

#include <gtest/gtest.h>

#include <string>

namespace device_key {
namespace {

TEST(ParseOrigin, AcceptsSchemeAndHost) {
  const std::optional<Origin> https = ParseOrigin("https://api.chatgpt.com");
  ASSERT_TRUE(https);
  EXPECT_TRUE(https->is_https);
  EXPECT_EQ(https->host, "api.chatgpt.com");
  EXPECT_FALSE(https->is_loopback);

  const std::optional<Origin> http = ParseOrigin("http://example.org");
  ASSERT_TRUE(http);
  EXPECT_FALSE(http->is_https);
}

TEST(ParseOrigin, KnowsTheLoopbackHosts) {
  for (const char* text :
       {"http://localhost", "https://localhost", "http://127.0.0.1", "http://127.255.255.255",
        "http://127.0.0.0", "http://[::1]", "https://[::1]"}) {
    const std::optional<Origin> origin = ParseOrigin(text);
    ASSERT_TRUE(origin) << text;
    EXPECT_TRUE(origin->is_loopback) << text;
  }
}

TEST(ParseOrigin, TreatsSubdomainsOfLocalhostAsOrdinaryNames) {
  EXPECT_FALSE(ParseOrigin("http://app.localhost")->is_loopback);
}

TEST(ParseOrigin, AcceptsAnyPortOnEveryHost) {
  for (const char* host : {"localhost", "127.0.0.1", "[::1]", "chatgpt.com", "rc.example.org"}) {
    for (const char* port : {"1", "443", "8080", "65535"}) {
      const std::string text = "http://" + std::string(host) + ':' + port;
      const std::optional<Origin> origin = ParseOrigin(text);
      ASSERT_TRUE(origin) << text;
      EXPECT_EQ(origin->host, host);
      EXPECT_EQ(origin->port, port);
    }
    EXPECT_TRUE(ParseOrigin("https://" + std::string(host) + ":80"));
  }
  EXPECT_EQ(ParseOrigin("https://chatgpt.com")->port, "");
}

TEST(ParseOrigin, RefusesPortsThatAreNotCanonicalOrTheDefault) {
  for (const char* host : {"localhost", "127.0.0.1", "[::1]", "chatgpt.com"}) {
    for (const char* port :
         {"", "0", "65536", "99999999999", "080", "+1", "-1", "8o", "80 ", "80", "8080:1"}) {
      EXPECT_FALSE(ParseOrigin("http://" + std::string(host) + ':' + port)) << host << ' ' << port;
    }
    EXPECT_FALSE(ParseOrigin("https://" + std::string(host) + ":443")) << host;
  }
}

TEST(ParseOrigin, RefusesOtherSchemesAndSpellingsOfThem) {
  for (const char* text :
       {"HTTPS://chatgpt.com", "Https://chatgpt.com", "https:chatgpt.com", "https:/chatgpt.com",
        "https:///chatgpt.com", "https:\\\\chatgpt.com", "https//chatgpt.com", "//chatgpt.com",
        "chatgpt.com", "wss://chatgpt.com", "ftp://localhost", "file://localhost", "https://",
        "http://", ""}) {
    EXPECT_FALSE(ParseOrigin(text)) << text;
  }
}

TEST(ParseOrigin, RefusesEverythingAroundAnOrigin) {
  for (const std::string& text :
       {std::string(" https://chatgpt.com"), std::string("https://chatgpt.com "),
        std::string("https://chatgpt.com\n"), std::string("\thttps://chatgpt.com"),
        std::string("https://chatgpt.com/"), std::string("https://chatgpt.com/path"),
        std::string("https://chatgpt.com?query"), std::string("https://chatgpt.com#fragment"),
        std::string("https://chatgpt.com\\"), std::string("https://chatgpt.com\0", 20),
        std::string("https://user@chatgpt.com"), std::string("https://user:pw@chatgpt.com"),
        std::string("https://@chatgpt.com"), std::string("https://evil.org@chatgpt.com")}) {
    EXPECT_FALSE(ParseOrigin(text)) << text;
  }
}

TEST(ParseOrigin, RefusesHostsThatAUrlParserWouldRewrite) {
  for (const char* text :
       {"https://CHATGPT.com", "https://chatgpt.COM", "https://chatgpt.com.",
        "https://chat%67pt.com", "https://ｃｈａｔｇｐｔ.com", "https://chatgpt。com",
        "https://chat\xc2\xadgpt.com", "https://münchen.de", "https://chat\tgpt.com",
        "https://chat gpt.com", "https://LOCALHOST", "http://Localhost", "http://localhost."}) {
    EXPECT_FALSE(ParseOrigin(text)) << text;
  }
}

TEST(ParseOrigin, RefusesOtherSpellingsOfIpv4Addresses) {
  for (const char* text :
       {"http://2130706433", "http://0x7f000001", "http://0x7f.0.0.1", "http://0177.0.0.1",
        "http://127.1", "http://127.0.1", "http://127.0.0.01", "http://127.0.0.1.",
        "http://127.0.0.256", "http://127.0.0.1.1", "http://127.0.0", "http://127.0.0.",
        "http://127..0.1", "http://127.0.0.0x1", "http://foo.0x", "http://foo.1"}) {
    EXPECT_FALSE(ParseOrigin(text)) << text;
  }
}

TEST(ParseOrigin, RefusesAddressesThatAreNotLoopback) {
  for (const char* text : {"http://128.0.0.1", "http://10.0.0.1", "http://0.0.0.0", "http://[::]",
                           "http://192.168.1.1"}) {
    EXPECT_FALSE(ParseOrigin(text)) << text;
  }
}

TEST(ParseOrigin, RefusesOtherSpellingsOfTheIpv6LoopbackAddress) {
  for (const char* text :
       {"http://::1", "http://[0:0:0:0:0:0:0:1]", "http://[::01]", "http://[::ffff:127.0.0.1]",
        "http://[::1%25lo]", "http://[::1", "http://[::1]x", "http://[::1]]", "http://[::1]::80",
        "http://[::1].com"}) {
    EXPECT_FALSE(ParseOrigin(text)) << text;
  }
}

TEST(IsHostName, RefusesLabelsThatDnsDoesNotAllow) {
  for (const char* text : {"", ".", ".chatgpt.com", "a..chatgpt.com", "-a.chatgpt.com",
                           "a-.chatgpt.com", "a_b.chatgpt.com", "*.chatgpt.com", "chatgpt.com."}) {
    EXPECT_FALSE(IsHostName(text)) << text;
  }
  EXPECT_TRUE(IsHostName("a-b.x1.chatgpt.com"));
  EXPECT_TRUE(IsHostName("xn--mnchen-3ya.de"));
  EXPECT_TRUE(IsHostName("localhost"));
}

TEST(IsHostName, AcceptsLabelsOf63AndNamesOf253Characters) {
  const std::string label(63, 'a');
  EXPECT_TRUE(IsHostName(label + ".com"));
  EXPECT_FALSE(IsHostName(label + "a.com"));

  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'a');
  ASSERT_EQ(longest.size(), 253u);
  EXPECT_TRUE(IsHostName(longest));
  EXPECT_FALSE(IsHostName(longest + 'a'));
}

}  // namespace
}  // namespace device_key
