#include "providers/tpm2/tss2_private_key.h"

#include <gtest/gtest.h>

#include <string>

#include "crypto/base64.h"
#include "platform/expect_error.h"

namespace device_key {
namespace {

const Bytes kPublicArea{0, 2, 0x12, 0x34};
const Bytes kPrivateArea{0, 3, 0xAB, 0xCD, 0xEF};

Tss2PrivateKey NewKey(uint32_t parent = 0x81000001) { return {parent, kPublicArea, kPrivateArea}; }

// DER of a tag and contents of fewer than 128 bytes.
Bytes Tlv(uint8_t tag, const Bytes& contents) {
  Bytes der{tag, static_cast<uint8_t>(contents.size())};
  der.insert(der.end(), contents.begin(), contents.end());
  return der;
}

Bytes Join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::string Pem(const Bytes& der, const std::string& name = "TSS2 PRIVATE KEY") {
  return "-----BEGIN " + name + "-----\n" + Base64Encode(der) + "\n-----END " + name + "-----\n";
}

// The parts of a valid key, written by hand from the specification.
const Bytes kOid = Tlv(0x06, {0x67, 0x81, 0x05, 0x0A, 0x01, 0x03});  // 2.23.133.10.1.3
const Bytes kEmptyAuthFalse = Tlv(0xA0, Tlv(0x01, {0x00}));
const Bytes kEmptyAuthTrue = Tlv(0xA0, Tlv(0x01, {0xFF}));
const Bytes kParent = Tlv(0x02, {0x00, 0x81, 0x00, 0x00, 0x01});
const Bytes kPublic = Tlv(0x04, kPublicArea);
const Bytes kPrivate = Tlv(0x04, kPrivateArea);

Bytes Sequence(std::initializer_list<Bytes> parts) { return Tlv(0x30, Join(parts)); }

void ExpectCorrupt(const std::string& pem, const std::string& part_of_message = "damaged") {
  ExpectError(
      ErrorCode::kStoreCorrupt, [&] { Tss2PrivateKey::FromPem(pem); }, part_of_message);
}

TEST(Tss2PrivateKeyTest, RoundTripsThroughPem) {
  for (const uint32_t parent : {0x81000001u, 0x40000001u, 0u, 0xFFFFFFFFu}) {
    const auto key = Tss2PrivateKey::FromPem(NewKey(parent).ToPem());

    EXPECT_EQ(key.parent, parent);
    EXPECT_EQ(key.public_area, kPublicArea);
    EXPECT_EQ(key.private_area, kPrivateArea);
  }
}

TEST(Tss2PrivateKeyTest, EqualsTheFormOfTheSpecification) {
  const auto key =
      Tss2PrivateKey::FromPem(Pem(Sequence({kOid, kEmptyAuthFalse, kParent, kPublic, kPrivate})));
  EXPECT_EQ(key.parent, 0x81000001u);
  EXPECT_EQ(key.public_area, kPublicArea);
  EXPECT_EQ(key.private_area, kPrivateArea);

  EXPECT_EQ(NewKey().ToPem(), Pem(Sequence({kOid, kEmptyAuthFalse, kParent, kPublic, kPrivate})));
}

TEST(Tss2PrivateKeyTest, AnAbsentEmptyAuthIsFalse) {
  EXPECT_EQ(Tss2PrivateKey::FromPem(Pem(Sequence({kOid, kParent, kPublic, kPrivate}))).parent,
            0x81000001u);
}

TEST(Tss2PrivateKeyTest, IsShownByOpenSslAsItsStandardKind) {
  EXPECT_EQ(NewKey().ToPem().rfind("-----BEGIN TSS2 PRIVATE KEY-----\n", 0), 0u);
}

TEST(Tss2PrivateKeyTest, SurvivesLinesOfAnotherEnding) {
  std::string pem = NewKey().ToPem();
  for (size_t i = 0; (i = pem.find('\n', i)) != std::string::npos; i += 2) pem.insert(i, "\r");

  EXPECT_EQ(Tss2PrivateKey::FromPem(pem).public_area, kPublicArea);
}

// Damage.

TEST(DamagedTss2PrivateKeyTest, WithoutPemIsRefused) {
  ExpectCorrupt("", "not a TSS2 PRIVATE KEY in PEM");
  ExpectCorrupt("hello", "not a TSS2 PRIVATE KEY in PEM");
  ExpectCorrupt(std::string("\0", 1));
  ExpectCorrupt("-----BEGIN TSS2 PRIVATE KEY-----\n-----END TSS2 PRIVATE KEY-----\n");
}

TEST(DamagedTss2PrivateKeyTest, OfAnotherKindIsRefused) {
  const Bytes der = Sequence({kOid, kEmptyAuthFalse, kParent, kPublic, kPrivate});
  ExpectCorrupt(Pem(der, "PRIVATE KEY"), "not a TSS2 PRIVATE KEY in PEM");
  ExpectCorrupt(Pem(der, "EC PRIVATE KEY"), "not a TSS2 PRIVATE KEY in PEM");
}

TEST(DamagedTss2PrivateKeyTest, CutOffAnywhereIsRefused) {
  const std::string pem = NewKey().ToPem();
  // Without its last line break it is still complete.
  for (size_t size = 0; size + 1 < pem.size(); ++size) ExpectCorrupt(pem.substr(0, size));
}

TEST(DamagedTss2PrivateKeyTest, WithDerCutOffAnywhereIsRefused) {
  const Bytes der = Sequence({kOid, kEmptyAuthFalse, kParent, kPublic, kPrivate});
  for (size_t size = 1; size < der.size(); ++size) {
    ExpectCorrupt(Pem(Bytes(der.begin(), der.begin() + static_cast<std::ptrdiff_t>(size))), "DER");
  }
}

TEST(DamagedTss2PrivateKeyTest, WithTrailingBytesAfterTheDerIsRefused) {
  Bytes der = Sequence({kOid, kEmptyAuthFalse, kParent, kPublic, kPrivate});
  der.push_back(0);
  ExpectCorrupt(Pem(der), "DER");
}

TEST(DamagedTss2PrivateKeyTest, WithMembersMissingOrAddedIsRefused) {
  ExpectCorrupt(Pem(Sequence({kOid, kEmptyAuthFalse, kParent, kPublic})), "DER");
  ExpectCorrupt(Pem(Sequence({kOid, kEmptyAuthFalse, kPublic, kPrivate})), "DER");
  ExpectCorrupt(Pem(Sequence({kEmptyAuthFalse, kParent, kPublic, kPrivate})), "DER");
  ExpectCorrupt(Pem(Sequence({kOid, kEmptyAuthFalse, kParent, kPublic, kPrivate, Tlv(0x04, {1})})),
                "DER");
}

TEST(DamagedTss2PrivateKeyTest, WithAPolicyIsRefused) {
  const Bytes policy = Tlv(0xA1, Tlv(0x30, {}));
  ExpectCorrupt(Pem(Sequence({kOid, kEmptyAuthFalse, policy, kParent, kPublic, kPrivate})));
}

TEST(DamagedTss2PrivateKeyTest, ToBeImportedOrSealedIsRefused) {
  const Bytes importable = Tlv(0x06, {0x67, 0x81, 0x05, 0x0A, 0x01, 0x04});
  const Bytes sealed = Tlv(0x06, {0x67, 0x81, 0x05, 0x0A, 0x01, 0x05});
  for (const Bytes& oid : {importable, sealed}) {
    ExpectCorrupt(Pem(Sequence({oid, kEmptyAuthFalse, kParent, kPublic, kPrivate})), "loadable");
  }
}

TEST(DamagedTss2PrivateKeyTest, WithALongObjectIdentifierIsRefused) {
  ExpectCorrupt(Pem(Sequence({Tlv(0x06, Bytes(60, 0x67)), kEmptyAuthFalse, kParent, Tlv(0x04, {}),
                              Tlv(0x04, {})})),
                "loadable");
}

TEST(DamagedTss2PrivateKeyTest, WithoutAnAuthValueIsRefused) {
  ExpectCorrupt(Pem(Sequence({kOid, kEmptyAuthTrue, kParent, kPublic, kPrivate})), "authValue");
}

TEST(DamagedTss2PrivateKeyTest, WithAParentThatIsNoHandleIsRefused) {
  const Bytes negative = Tlv(0x02, {0xFF});
  const Bytes five_bytes = Tlv(0x02, {0x01, 0, 0, 0, 0});
  const Bytes nine_bytes = Tlv(0x02, Bytes(9, 0x7F));
  for (const Bytes& parent : {negative, five_bytes, nine_bytes}) {
    ExpectCorrupt(Pem(Sequence({kOid, kEmptyAuthFalse, parent, kPublic, kPrivate})),
                  "parent is not a TPM handle");
  }
}

TEST(DamagedTss2PrivateKeyTest, ThatIsEncryptedIsRefused) {
  std::string pem = NewKey().ToPem();
  pem.insert(pem.find('\n') + 1,
             "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00000000000000000000000000000000\n\n");
  ExpectCorrupt(pem);
}

}  // namespace
}  // namespace device_key
