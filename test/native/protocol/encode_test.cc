#include "protocol/encode.h"

#include <gtest/gtest.h>

namespace device_key {
namespace {

const char kId[] = "dk_osn_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

TEST(Encode, WritesTheKeyWithTheProtectionClassOfItsId) {
  const std::string expected = std::string("{\"keyId\":\"") + kId +
                               "\",\"publicKeySpkiDerBase64\":\"+//+/w==\","
                               "\"algorithm\":\"ecdsa_p256_sha256\","
                               "\"protectionClass\":\"os_protected_nonextractable\"}";
  const Bytes spki = {0xfb, 0xff, 0xfe, 0xff};
  EXPECT_EQ(EncodeCreateResponse({*KeyId::Parse(kId), spki}).dump(), expected);
  EXPECT_EQ(EncodePublicResponse({*KeyId::Parse(kId), spki}).dump(), expected);
}

TEST(Encode, WritesTheSignatureAndTheSignedBytes) {
  EXPECT_EQ(EncodeSignResponse({{0x30, 0x00}, "{}"}),
            "{\"algorithm\":\"ecdsa_p256_sha256\",\"signatureDerBase64\":\"MAA=\","
            "\"signedPayloadBase64\":\"e30=\"}");
}

}  // namespace
}  // namespace device_key
