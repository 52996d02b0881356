#include "crypto/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace device_key {
namespace {

struct Rfc4648Vector {
  std::string bytes;
  std::string base64;
  std::string base64url;
};

// RFC 4648 section 10, and bytes whose encoding uses the last two characters of the alphabet.
const Rfc4648Vector kVectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+", "-__-"},
};

Bytes BytesOf(const std::string& text) { return Bytes(text.begin(), text.end()); }

TEST(Base64, EncodesTheVectorsOfRfc4648) {
  for (const Rfc4648Vector& vector : kVectors) {
    EXPECT_EQ(Base64Encode(AsBytes(vector.bytes)), vector.base64);
    EXPECT_EQ(Base64UrlEncode(AsBytes(vector.bytes)), vector.base64url);
  }
}

TEST(Base64, DecodesTheVectorsOfRfc4648) {
  for (const Rfc4648Vector& vector : kVectors) {
    EXPECT_EQ(Base64Decode(vector.base64), BytesOf(vector.bytes)) << vector.base64;
    EXPECT_EQ(Base64UrlDecode(vector.base64url), BytesOf(vector.bytes)) << vector.base64url;
  }
}

TEST(Base64, RefusesMissingAndSuperfluousPadding) {
  for (const char* text : {"Zg", "Zg=", "Zm8", "Zm9v=", "Zm9v====", "=", "====", "Zg==Zg=="}) {
    EXPECT_EQ(Base64Decode(text), std::nullopt) << text;
  }
}

TEST(Base64, RefusesNonZeroBitsAfterTheLastByte) {
  EXPECT_EQ(Base64Decode("Zh=="), std::nullopt);
  EXPECT_EQ(Base64Decode("Zm9="), std::nullopt);
}

TEST(Base64, RefusesWhiteSpaceAndForeignCharacters) {
  for (const std::string& text : {std::string(" Zm9"), std::string("Zm9v\n"), std::string("Zm9\n"),
                                  std::string("Zm 9v"), std::string("-__-"), std::string("Zm9*"),
                                  std::string("Zm9\0", 4), std::string("Zm9\xe9")}) {
    EXPECT_EQ(Base64Decode(text), std::nullopt) << text;
  }
}

TEST(Base64Url, RefusesPadding) {
  for (const char* text : {"Zg==", "Zm8=", "=", "Zm9v===="}) {
    EXPECT_EQ(Base64UrlDecode(text), std::nullopt) << text;
  }
}

TEST(Base64Url, RefusesNonZeroBitsAfterTheLastByte) {
  EXPECT_EQ(Base64UrlDecode("Zh"), std::nullopt);
  EXPECT_EQ(Base64UrlDecode("Zm9"), std::nullopt);
}

TEST(Base64Url, RefusesAnImpossibleLength) {
  EXPECT_EQ(Base64UrlDecode("A"), std::nullopt);
  EXPECT_EQ(Base64UrlDecode("AAAAA"), std::nullopt);
}

TEST(Base64Url, RefusesTheOtherAlphabetAndWhiteSpace) {
  for (const std::string& text :
       {std::string("+//+"), std::string("Zm9v\n"), std::string(" Zm9"), std::string("Zm\n"),
        std::string("Zm9\0", 4), std::string("-_+_")}) {
    EXPECT_EQ(Base64UrlDecode(text), std::nullopt) << text;
  }
}

TEST(Base64, RoundTripsEveryByteAndLength) {
  Bytes bytes;
  for (int value = 0; value < 256; ++value) {
    EXPECT_EQ(Base64Decode(Base64Encode(bytes)), bytes);
    EXPECT_EQ(Base64UrlDecode(Base64UrlEncode(bytes)), bytes);
    bytes.push_back(static_cast<uint8_t>(value));
  }
}

}  // namespace
}  // namespace device_key
