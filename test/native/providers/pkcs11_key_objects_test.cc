#include "providers/pkcs11/key_objects.h"

#include <gtest/gtest.h>

#include "crypto/p256.h"
#include "platform/expect_error.h"
#include "providers/pkcs11/cryptoki_library.h"
#include "providers/pkcs11/login.h"
#include "providers/pkcs11/pkcs11_status.h"
#include "support/softhsm.h"

namespace device_key {
namespace {

constexpr CK_ATTRIBUTE_TYPE kCkaValue = 0x11;

class KeyObjectsTest : public ::testing::Test {
 protected:
  // A session, logged in, through `module`.
  std::unique_ptr<TokenSession> Open(const CK_FUNCTION_LIST& module) {
    for (const Token& token : ListTokens(module)) {
      if (!token.obstacle.empty()) continue;
      auto session = std::make_unique<TokenSession>(module, token);
      PinSource source;
      source.value = testing::SoftHsm::kPin;
      RefusedPins refused;
      LogIn(*session, source, refused);
      return session;
    }
    throw std::runtime_error("SoftHSM shows no token");
  }

  void TearDown() override { library_.Finalize(); }

  static size_t CountObjects(const TokenSession& session) {
    const CK_FUNCTION_LIST& module = session.module();
    CK_OBJECT_HANDLE found[8];
    CK_ULONG count = 0;
    CheckPkcs11("find", module.C_FindObjectsInit(session.handle(), nullptr, 0));
    CheckPkcs11("find", module.C_FindObjects(session.handle(), found, 8, &count));
    module.C_FindObjectsFinal(session.handle());
    return count;
  }

  const testing::SoftHsm hsm_;
  CryptokiLibrary library_{testing::kSoftHsmModule};
  const KeyId id_ = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
};

TEST_F(KeyObjectsTest, SignsWithAKeyThatItMade) {
  const auto session = Open(library_.Functions());
  const auto public_key = P256PublicKey::FromSpki(GenerateKey(*session, id_));
  const Sha256Digest digest = Sha256(AsBytes("text"));
  EXPECT_TRUE(public_key.Verify(digest, SignDigest(*session, id_, digest)));
}

TEST_F(KeyObjectsTest, TheTokenDoesNotExportThePrivateKey) {
  const auto session = Open(library_.Functions());
  GenerateKey(*session, id_);
  uint8_t value[256];
  CK_ATTRIBUTE attribute{kCkaValue, value, sizeof value};
  EXPECT_EQ(session->module().C_GetAttributeValue(session->handle(), session->keys.at(id_.str()),
                                                  &attribute, 1),
            CKR_ATTRIBUTE_SENSITIVE);
}

// SoftHSM, with one search that returns no objects and no error.
CK_FUNCTION_LIST* soft_hsm = nullptr;
int listings_until_failure = 0;

CK_RV FailingFindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG max,
                         CK_ULONG* count) {
  const CK_RV rv = soft_hsm->C_FindObjects(session, objects, max, count);
  if (listings_until_failure-- == 0) *count = 0;
  return rv;
}

CK_RV DestroyNothing(CK_SESSION_HANDLE, CK_OBJECT_HANDLE) { return CKR_OK; }

TEST_F(KeyObjectsTest, AListingThatFailsOnceHidesNoKeyFromItsDestruction) {
  CK_FUNCTION_LIST original = library_.Functions();
  CK_FUNCTION_LIST module = original;
  module.C_FindObjects = FailingFindObjects;
  soft_hsm = &original;
  const auto session = Open(module);
  for (const int failing : {0, 1}) {
    listings_until_failure = -1;
    GenerateKey(*session, id_);
    listings_until_failure = failing;
    DestroyKey(*session, id_);
    EXPECT_EQ(CountObjects(*session), 0u);
  }
}

TEST_F(KeyObjectsTest, ReportsAKeyThatTheTokenKeepsAfterItsDestruction) {
  CK_FUNCTION_LIST module = library_.Functions();
  module.C_DestroyObject = DestroyNothing;
  const auto session = Open(module);
  GenerateKey(*session, id_);
  ExpectError(
      ErrorCode::kPlatformError, [&] { DestroyKey(*session, id_); }, "still shows the key");
}

CK_RV LoginWithoutUserPin(CK_SESSION_HANDLE, CK_ULONG, CK_UTF8CHAR*, CK_ULONG) {
  return CKR_USER_PIN_NOT_INITIALIZED;
}

// SoftHSM answers so when it was initialized while another process wrote the token's file.
TEST_F(KeyObjectsTest, APinThatIsMissingAlthoughTheTokenHadOneIsStaleState) {
  CK_FUNCTION_LIST module = library_.Functions();
  module.C_Login = LoginWithoutUserPin;
  try {
    Open(module);
    FAIL() << "expected an error";
  } catch (const LoginError&) {
    FAIL() << "expected an error after which callers try again";
  } catch (const DeviceKeyError& error) {
    EXPECT_TRUE(IsStaleSession(error.platform_status().value()));
  }
}

TEST_F(KeyObjectsTest, DestroysBothHalves) {
  const auto session = Open(library_.Functions());
  GenerateKey(*session, id_);
  EXPECT_EQ(CountObjects(*session), 2u);
  DestroyKey(*session, id_);
  EXPECT_EQ(CountObjects(*session), 0u);
  DestroyKey(*session, id_);  // not an error if there is nothing left
}

TEST_F(KeyObjectsTest, AMissingKeyIsLost) {
  const auto session = Open(library_.Functions());
  ExpectError(
      ErrorCode::kKeyLost, [&] { SignDigest(*session, id_, Sha256Digest{}); }, "token=token");
}

// SoftHSM, except that one attribute of keys has the wrong value.
CK_ATTRIBUTE_TYPE lied_about;
const CK_FUNCTION_LIST* honest;

CK_RV LyingGetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE* attribute, CK_ULONG count) {
  const CK_RV rv = honest->C_GetAttributeValue(session, object, attribute, count);
  if (rv == CKR_OK && attribute->type == lied_about && attribute->pValue != nullptr) {
    auto& value = *static_cast<CK_BBOOL*>(attribute->pValue);
    value = value == CK_FALSE ? CK_TRUE : CK_FALSE;
  }
  return rv;
}

class UnprotectedKeyTest : public KeyObjectsTest,
                           public ::testing::WithParamInterface<CK_ATTRIBUTE_TYPE> {};

TEST_P(UnprotectedKeyTest, IsRefusedAndDestroyed) {
  honest = &library_.Functions();
  lied_about = GetParam();
  CK_FUNCTION_LIST lying = *honest;
  lying.C_GetAttributeValue = LyingGetAttributeValue;
  const auto session = Open(lying);
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { GenerateKey(*session, id_); },
      "does not keep the key inside");
  EXPECT_EQ(CountObjects(*session), 0u);
}

INSTANTIATE_TEST_SUITE_P(Attributes, UnprotectedKeyTest,
                         ::testing::Values(CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE,
                                           CKA_NEVER_EXTRACTABLE, CKA_LOCAL, CKA_PRIVATE,
                                           CKA_TOKEN));

// The base point of P-256 (SEC 2, section 2.4.2).
Bytes BasePoint() {
  return {0x04, 0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5,
          0x63, 0xA4, 0x40, 0xF2, 0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4,
          0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96, 0x4F, 0xE3, 0x42, 0xE2, 0xFE, 0x1A,
          0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE, 0x33,
          0x57, 0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5};
}

TEST(EcPointTest, IsReadInAnOctetStringAndBare) {
  const Bytes bare = BasePoint();
  Bytes wrapped = {0x04, 0x41};
  wrapped.insert(wrapped.end(), bare.begin(), bare.end());
  EXPECT_EQ(SpkiFromEcPoint(wrapped), SpkiFromEcPoint(bare));
}

TEST(EcPointTest, IsRefusedInAnyOtherForm) {
  Bytes compressed = BasePoint();
  compressed.resize(33);
  compressed[0] = 0x03;
  for (const Bytes& point : {compressed, Bytes(65, 0), Bytes()}) {
    ExpectError(
        ErrorCode::kCryptoError, [&] { SpkiFromEcPoint(point); }, "P-256 point");
  }
}

}  // namespace
}  // namespace device_key
