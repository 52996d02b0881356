// That a TPM finds the same secret is shown by the providers' tests, on one.
#include "crypto/secret_sharing.h"

#include <gtest/gtest.h>

#include "platform/expect_error.h"

namespace device_key {
namespace {

// The base point of P-256 (SEC 2, section 2.4.2).
const Bytes kX = {0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
                  0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
                  0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96};
const Bytes kY = {0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
                  0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
                  0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};

TEST(SecretSharingTest, IsAnotherSecretEveryTime) {
  const auto key = SecretSharingKey::Ecc(TpmCurve::kP256, kX, kY, TpmHash::kSha256);

  const SharedSecret first = key.Share("SECRET");
  const SharedSecret second = key.Share("SECRET");

  EXPECT_EQ(first.secret.size(), 32u);
  EXPECT_NE(first.secret, second.secret);
  EXPECT_NE(first.encrypted, second.encrypted);
}

// A TPMS_ECC_POINT: two coordinates behind their sizes.
TEST(SecretSharingTest, SendsThePointOfTheEphemeralKey) {
  const auto key = SecretSharingKey::Ecc(TpmCurve::kP256, kX, kY, TpmHash::kSha256);

  const Bytes encrypted = key.Share("SECRET").encrypted;

  ASSERT_EQ(encrypted.size(), 68u);
  EXPECT_EQ(encrypted[1], 32);
  EXPECT_EQ(encrypted[35], 32);
  EXPECT_NO_THROW(SecretSharingKey::Ecc(TpmCurve::kP256, ByteView(encrypted).subspan(2, 32),
                                        ByteView(encrypted).subspan(36), TpmHash::kSha256));
}

TEST(SecretSharingTest, ASecretIsAsLongAsItsHash) {
  EXPECT_EQ(SecretSharingKey::Ecc(TpmCurve::kP256, kX, kY, TpmHash::kSha384)
                .Share("SECRET")
                .secret.size(),
            48u);
}

TEST(SecretSharingTest, APointBesideTheCurveIsRefused) {
  Bytes y = kY;
  y.back() ^= 1;
  ExpectError(ErrorCode::kCryptoError,
              [&] { SecretSharingKey::Ecc(TpmCurve::kP256, kX, y, TpmHash::kSha256); });
  ExpectError(ErrorCode::kCryptoError,
              [&] { SecretSharingKey::Ecc(TpmCurve::kP256, Bytes(33, 1), kY, TpmHash::kSha256); });
  ExpectError(ErrorCode::kCryptoError,
              [&] { SecretSharingKey::Ecc(TpmCurve::kP256, {}, {}, TpmHash::kSha256); });
}

TEST(SecretSharingTest, RsaEncryptsASecretToTheModulus) {
  Bytes modulus(256, 0xA5);
  modulus.back() = 1;

  const SharedSecret shared =
      SecretSharingKey::Rsa(modulus, 65537, TpmHash::kSha256).Share("SECRET");

  EXPECT_EQ(shared.secret.size(), 32u);
  EXPECT_EQ(shared.encrypted.size(), modulus.size());
}

TEST(SecretSharingTest, AnRsaKeyThatIsTooShortForASecretIsRefused) {
  ExpectError(ErrorCode::kCryptoError, [] {
    SecretSharingKey::Rsa(Bytes(32, 0xA5), 65537, TpmHash::kSha256).Share("SECRET");
  });
}

}  // namespace
}  // namespace device_key
