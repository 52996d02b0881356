#include "crypto/p256.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>

#include "crypto/openssl.h"

namespace device_key {
namespace {

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// RFC 6979 appendix A.2.5: P-256 with SHA-256, message "sample".
const char kX[] = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6";
const char kY[] = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
const char kR[] = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
const char kS[] = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";

Bytes SampleSpki() { return SpkiFromPoint(FromHex(kX), FromHex(kY)); }
Bytes SampleSignature() { return EcdsaDerFromRaw(FromHex(kR), FromHex(kS)); }
Sha256Digest SampleDigest() { return Sha256(AsBytes("sample")); }

bool VerifiesSample(const Bytes& signature) {
  return P256PublicKey::FromSpki(SampleSpki()).Verify(SampleDigest(), signature);
}

// DER elements with a length of one byte.
Bytes Element(uint8_t tag, const Bytes& content) {
  Bytes der;
  der.push_back(tag);
  der.push_back(static_cast<uint8_t>(content.size()));
  std::copy(content.begin(), content.end(), std::back_inserter(der));
  return der;
}

Bytes Integer(const Bytes& content) { return Element(0x02, content); }

Bytes Sequence(std::initializer_list<Bytes> parts) {
  Bytes content;
  for (const Bytes& part : parts) {
    std::copy(part.begin(), part.end(), std::back_inserter(content));
  }
  return Element(0x30, content);
}

void ExpectCryptoError(const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const DeviceKeyError& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCryptoError);
  }
  EXPECT_EQ(ERR_peek_error(), 0u) << "left in OpenSSL's error queue";
}

TEST(SpkiFromPoint, EqualsOpenSslsEncodingOfTheSameKey) {
  const Bytes spki = SampleSpki();
  const uint8_t* in = spki.data();
  ScopedEvpPkey key(d2i_PUBKEY(nullptr, &in, static_cast<long>(spki.size())));
  ASSERT_TRUE(key);
  Bytes written(spki.size());
  uint8_t* out = written.data();
  ASSERT_EQ(i2d_PUBKEY(key.get(), &out), 91);
  EXPECT_EQ(written, spki);
}

// There is a point with x = 5.
TEST(SpkiFromPoint, PadsCoordinatesWithoutLeadingZeros) {
  const Bytes y = FromHex("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc");
  const Bytes spki = SpkiFromPoint(Bytes{5}, y);
  Bytes padded(32, 0);
  padded.back() = 5;
  EXPECT_EQ(spki, SpkiFromPoint(padded, y));
  EXPECT_EQ(spki.size(), 91u);
}

TEST(SpkiFromPoint, RefusesAPointOffTheCurve) {
  Bytes y = FromHex(kY);
  y.back() ^= 1;
  ExpectCryptoError([&] { SpkiFromPoint(FromHex(kX), y); });
  ExpectCryptoError([&] { SpkiFromPoint({}, {}); });
}

TEST(SpkiFromPoint, RefusesACoordinateOfMoreThan32Bytes) {
  Bytes x = FromHex(kX);
  x.insert(x.begin(), 0);
  ExpectCryptoError([&] { SpkiFromPoint(x, FromHex(kY)); });
}

TEST(P256PublicKey, RefusesTrailingBytes) {
  Bytes spki = SampleSpki();
  spki.push_back(0);
  ExpectCryptoError([&] { P256PublicKey::FromSpki(spki); });
}

TEST(P256PublicKey, RefusesATruncatedKey) {
  for (size_t size = 0; size < SampleSpki().size(); ++size) {
    ExpectCryptoError([&] { P256PublicKey::FromSpki(ByteView(SampleSpki()).first(size)); });
  }
}

TEST(P256PublicKey, RefusesAPointOffTheCurve) {
  Bytes spki = SampleSpki();
  spki.back() ^= 1;
  ExpectCryptoError([&] { P256PublicKey::FromSpki(spki); });
}

TEST(P256PublicKey, RefusesTheCompressedPoint) {
  Bytes spki = {0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x22, 0x00, 0x03};
  const Bytes x = FromHex(kX);
  spki.insert(spki.end(), x.begin(), x.end());
  const uint8_t* in = spki.data();
  ASSERT_TRUE(ScopedEvpPkey(d2i_PUBKEY(nullptr, &in, static_cast<long>(spki.size()))))
      << "OpenSSL would take it";
  ExpectCryptoError([&] { P256PublicKey::FromSpki(spki); });
}

TEST(P256PublicKey, RefusesAKeyOnAnotherCurve) {
  InitOpenSsl();
  for (const char* curve : {"secp256k1", "P-384"}) {
    ScopedEvpPkey key(EVP_EC_gen(curve));
    ASSERT_TRUE(key);
    Bytes spki(static_cast<size_t>(i2d_PUBKEY(key.get(), nullptr)));
    uint8_t* out = spki.data();
    i2d_PUBKEY(key.get(), &out);
    ExpectCryptoError([&] { P256PublicKey::FromSpki(spki); });
  }
}

TEST(EcdsaDerFromRaw, WritesTheShortestIntegers) {
  const Bytes expected = {0x30, 0x08, 0x02, 0x02, 0x00, 0x80, 0x02, 0x02, 0x01, 0x00};
  EXPECT_EQ(EcdsaDerFromRaw(Bytes{0, 0, 0x80}, Bytes{1, 0}), expected);
}

TEST(EcdsaDerFromRaw, RefusesEmptyZeroAndOverlongHalves) {
  const Bytes good = FromHex(kR);
  for (const Bytes& bad : {Bytes{}, Bytes{0}, Bytes(32, 0), Bytes(33, 1)}) {
    ExpectCryptoError([&] { EcdsaDerFromRaw(bad, good); });
    ExpectCryptoError([&] { EcdsaDerFromRaw(good, bad); });
  }
}

TEST(EcdsaRawFromDer, PadsBothHalvesToThirtyTwoBytes) {
  RawEcdsaSignature expected{};
  expected[31] = 0x80;
  expected[62] = 1;
  EXPECT_EQ(EcdsaRawFromDer(EcdsaDerFromRaw(Bytes{0x80}, Bytes{1, 0})), expected);

  Bytes raw = FromHex(kR);
  const Bytes s = FromHex(kS);
  raw.insert(raw.end(), s.begin(), s.end());
  const RawEcdsaSignature sample = EcdsaRawFromDer(SampleSignature());
  EXPECT_EQ(Bytes(sample.begin(), sample.end()), raw);
}

TEST(EcdsaRawFromDer, RefusesAnythingButAP256Signature) {
  Bytes longer = SampleSignature();
  longer.push_back(0);
  for (const Bytes& bad :
       {Bytes{}, Bytes{0x30}, longer, Sequence({Integer(Bytes(33, 1)), Integer({1})})}) {
    ExpectCryptoError([&] { EcdsaRawFromDer(bad); });
  }
}

TEST(PointFromSpki, FindsBothCoordinates) {
  const Bytes spki = SampleSpki();
  const P256Point point = PointFromSpki(spki);
  EXPECT_EQ(SpkiFromPoint(point.x, point.y), spki);
}

TEST(PointFromSpki, RefusesOtherBytes) {
  ExpectCryptoError([] { PointFromSpki(Bytes(91, 0)); });
  ExpectCryptoError([] { PointFromSpki(Bytes{}); });
}

TEST(Verify, AcceptsTheSignatureOfRfc6979) { EXPECT_TRUE(VerifiesSample(SampleSignature())); }

TEST(Verify, GivesTheSameResultsWhenTheKeyIsReused) {
  P256PublicKey key = P256PublicKey::FromSpki(SampleSpki());
  EXPECT_TRUE(key.Verify(SampleDigest(), SampleSignature()));
  EXPECT_FALSE(key.Verify(SampleDigest(), Bytes{0x30}));
  EXPECT_FALSE(key.Verify(Sha256(AsBytes("other")), SampleSignature()));
  EXPECT_TRUE(key.Verify(SampleDigest(), SampleSignature()));
  P256PublicKey moved = std::move(key);
  EXPECT_TRUE(moved.Verify(SampleDigest(), SampleSignature()));
}

TEST(Verify, RefusesEverySignatureWithOneBitFlipped) {
  P256PublicKey key = P256PublicKey::FromSpki(SampleSpki());
  const Bytes signature = SampleSignature();
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    Bytes changed = signature;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(key.Verify(SampleDigest(), changed)) << "bit " << bit;
  }
}

TEST(Verify, RefusesTruncatedAndExtendedSignatures) {
  Bytes signature = SampleSignature();
  EXPECT_FALSE(VerifiesSample({}));
  EXPECT_FALSE(VerifiesSample(Bytes(signature.begin(), signature.end() - 1)));
  signature.push_back(0);
  EXPECT_FALSE(VerifiesSample(signature));
}

TEST(Verify, RefusesTheSameNumbersInOtherEncodings) {
  Bytes r = FromHex(kR);
  Bytes s = FromHex(kS);
  r.insert(r.begin(), 0);
  s.insert(s.begin(), 0);
  ASSERT_TRUE(VerifiesSample(Sequence({Integer(r), Integer(s)}))) << "the one right encoding";

  Bytes r_padded = r;
  r_padded.insert(r_padded.begin(), 0);
  EXPECT_FALSE(VerifiesSample(Sequence({Integer(r_padded), Integer(s)})));

  Bytes r_negative(r.begin() + 1, r.end());
  EXPECT_FALSE(VerifiesSample(Sequence({Integer(r_negative), Integer(s)})));

  Bytes long_length = SampleSignature();
  long_length.insert(long_length.begin() + 1, 0x81);
  EXPECT_FALSE(VerifiesSample(long_length));

  EXPECT_FALSE(VerifiesSample(Sequence({Integer(r), Integer(s), Integer({1})})));
}

TEST(Verify, LeavesTheErrorQueueEmpty) {
  EXPECT_FALSE(VerifiesSample(Bytes{0x30, 0x00}));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace device_key
