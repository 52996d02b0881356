#include "crypto/tpm_kdf.h"

#include <gtest/gtest.h>

#include <string>

#include "crypto/aes_cfb.h"

namespace device_key {
namespace {

Bytes FromHex(const std::string& hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Bytes FromDigest(const Sha256Digest& digest) { return Bytes(digest.begin(), digest.end()); }

Bytes Number(uint32_t value) {
  return {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
          static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

constexpr uint8_t kZero[] = {0};

// RFC 4231, test case 2.
TEST(HmacSha256Test, KeepsItsStandard) {
  EXPECT_EQ(FromDigest(HmacSha256(AsBytes("Jefe"), {AsBytes("what do ya want for nothing?")})),
            FromHex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
}

TEST(HmacSha256Test, TakesItsPartsAsOneMessage) {
  EXPECT_EQ(HmacSha256(AsBytes("key"), {AsBytes("a"), {}, AsBytes("bc")}),
            HmacSha256(AsBytes("key"), {AsBytes("abc")}));
}

// TPM 2.0 Library Specification, Part 1, section 11.4.10.2, written out for two blocks.
TEST(KdfATest, IsTheHmacOfCounterLabelContextAndLength) {
  const Bytes key = FromHex("000102030405060708090a0b0c0d0e0f");
  const Bytes u = FromHex("aa55");
  const Bytes v = FromHex("0102030405");
  Bytes expected;
  for (const uint32_t block : {1, 2}) {
    const Bytes mac =
        FromDigest(HmacSha256(key, {Number(block), AsBytes("CFB"), kZero, u, v, Number(8 * 40)}));
    expected.insert(expected.end(), mac.begin(), mac.end());
  }
  expected.resize(40);

  EXPECT_EQ(KdfA(key, "CFB", u, v, 40), expected);
}

TEST(KdfATest, TakesLongKeysAndEmptyContexts) {
  const Bytes key(100, 7);

  EXPECT_EQ(KdfA(key, "ATH", {}, {}, 32),
            FromDigest(HmacSha256(key, {Number(1), AsBytes("ATH"), kZero, Number(256)})));
}

// Part 1, section 11.4.10.3.
TEST(KdfETest, IsTheHashOfCounterSecretLabelAndParties) {
  const Bytes z(32, 1);
  const Bytes u(32, 2);
  const Bytes v(31, 3);
  const Bytes counter = Number(1);
  for (const TpmHash hash : {TpmHash::kSha256, TpmHash::kSha384}) {
    Bytes message;
    for (const ByteView part : {ByteView(counter), ByteView(z), AsBytes("SECRET"), ByteView(kZero),
                                ByteView(u), ByteView(v)}) {
      message.insert(message.end(), part.begin(), part.end());
    }

    EXPECT_EQ(KdfE(hash, z, "SECRET", u, v), Digest(hash, message));
  }
}

// FIPS 180-4's example of one block.
TEST(TpmHashTest, IsSha384) {
  EXPECT_EQ(Digest(TpmHash::kSha384, AsBytes("abc")),
            FromHex("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                    "8086072ba1e7cc2358baeca134c825a7"));
}

// SP 800-38A, appendix F.3.13, cut off in its second block.
TEST(Aes128CfbTest, KeepsItsStandard) {
  const Bytes key = FromHex("2b7e151628aed2a6abf7158809cf4f3c");
  const Bytes iv = FromHex("000102030405060708090a0b0c0d0e0f");
  Bytes data = FromHex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c");

  EncryptAes128Cfb(std::span(key).first<16>(), std::span(iv).first<16>(), data);

  EXPECT_EQ(data, FromHex("3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93f"));
}

}  // namespace
}  // namespace device_key
