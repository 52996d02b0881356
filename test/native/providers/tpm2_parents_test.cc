// The parents of device keys, and changes that TPM owners make to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crypto/base64.h"
#include "providers/tpm2/tss2_private_key.h"
#include "providers/tpm2_fixture.h"

namespace device_key {
namespace {

constexpr uint32_t kSrk = 0x81000001;
constexpr uint32_t kOwner = 0x40000001;

uint32_t ParentOf(const TestKey& key) { return Tss2PrivateKey::FromPem(key.pem()).parent; }

class Tpm2ParentsTest : public Tpm2Test {
 protected:
  // A key that an earlier process made.
  TestKey EarlierKey() {
    const auto provider = NewProvider();
    return CreateKey(*provider);
  }
};

class PersistentSrkTest : public Tpm2ParentsTest,
                          public ::testing::WithParamInterface<const char*> {};

TEST_P(PersistentSrkTest, IsUsedIfItExists) {
  MakePersistentSrk(GetParam());
  auto provider = NewProvider();

  const TestKey key = CreateKey(*provider);

  EXPECT_EQ(ParentOf(key), kSrk);
  EXPECT_TRUE(SignsRightly(*provider, key));
  provider.reset();
  EXPECT_TRUE(SignsRightly(*NewProvider(), key));
  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
  EXPECT_EQ(tpm_.Capability("handles-loaded-session"), "");
}

TEST_P(PersistentSrkTest, ServesMoreKeysThanTheTpmHasSlots) {
  MakePersistentSrk(GetParam());
  const auto provider = NewProvider();
  std::vector<TestKey> keys;
  for (int i = 0; i < 4; ++i) keys.push_back(CreateKey(*provider));

  for (int round = 0; round < 5; ++round) {
    for (const TestKey& key : keys) ASSERT_TRUE(SignsRightly(*provider, key));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, PersistentSrkTest,
    ::testing::Values("-G ecc", "-G rsa", "-G ecc384 -g sha384", "-G rsa3072 -g sha384",
                      "-G ecc -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|"
                      "restricted|decrypt'"));

TEST_F(Tpm2ParentsTest, KeysOfTheDerivedParentStayUsableBesideAPersistentOne) {
  const TestKey key = EarlierKey();
  ASSERT_EQ(ParentOf(key), kOwner);
  MakePersistentSrk();

  const auto provider = NewProvider();

  EXPECT_TRUE(SignsRightly(*provider, key));
  EXPECT_EQ(ParentOf(CreateKey(*provider)), kSrk);
  EXPECT_TRUE(SignsRightly(*provider, key));
}

TEST_F(Tpm2ParentsTest, AKeyThatIsNoStorageKeyAt81000001IsIgnored) {
  const std::string context = tpm_.socket_path() + ".sign";
  tpm_.Tool(
      "tpm2_createprimary -Q -G ecc:ecdsa -a 'fixedtpm|fixedparent|sensitivedataorigin|"
      "userwithauth|sign' -c " +
      context + " && tpm2_evictcontrol -Q -c " + context + " 0x81000001 && tpm2_flushcontext -t");
  const auto provider = NewProvider();

  const TestKey key = CreateKey(*provider);

  EXPECT_EQ(ParentOf(key), kOwner);
  EXPECT_TRUE(SignsRightly(*provider, key));
}

// Finds the parent by its name.

constexpr char kDerivableSrk[] =
    "-G ecc -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'";

// A handle in the older form, which identifies the parent only by its handle.
TestKey WithoutParentName(TestKey key) {
  key.key.handle.erase("parentName");
  return key;
}

TEST_F(Tpm2ParentsTest, AKeySurvivesTheEvictionOfAParentThatCanBeDerived) {
  MakePersistentSrk(kDerivableSrk);
  const TestKey key = EarlierKey();
  ASSERT_EQ(ParentOf(key), kSrk);
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");

  EXPECT_TRUE(SignsRightly(*NewProvider(), key));
}

TEST_F(Tpm2ParentsTest, AKeySurvivesWhenItsDerivableParentIsReplaced) {
  MakePersistentSrk(kDerivableSrk);
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");
  MakePersistentSrk("-G rsa");
  const auto provider = NewProvider();

  EXPECT_TRUE(SignsRightly(*provider, key));
  EXPECT_TRUE(SignsRightly(*provider, CreateKey(*provider)));
}

TEST_F(Tpm2ParentsTest, AKeyBelowTheDerivedParentSignsWhenThatIsPersistentAndTheOwnerHasAPassword) {
  const TestKey key = EarlierKey();
  ASSERT_EQ(ParentOf(key), kOwner);
  MakePersistentSrk(kDerivableSrk);
  tpm_.Tool("tpm2_changeauth -c owner secret");

  EXPECT_TRUE(SignsRightly(*NewProvider(), key));
}

TEST_F(Tpm2ParentsTest, ABoundKeyRecordsTheCurrentHandleOfItsParent) {
  MakePersistentSrk(kDerivableSrk);
  TestKey key = CreateKey(*NewProvider(), {});
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");

  const AuthValue unbound = key.auth();
  key.binding = {"a", "c"};
  key.key.handle = NewProvider()->Bind(key.id, key.key.handle, unbound, key.auth(), Soon());

  EXPECT_EQ(ParentOf(key), kOwner);
  EXPECT_TRUE(SignsRightly(*NewProvider(), key));
}

TEST_F(Tpm2ParentsTest, ARecordWithoutTheParentsNameIsReadAsBefore) {
  const TestKey derived = WithoutParentName(EarlierKey());
  MakePersistentSrk();
  const TestKey persistent = WithoutParentName(EarlierKey());

  EXPECT_TRUE(SignsRightly(*NewProvider(), derived));
  EXPECT_TRUE(SignsRightly(*NewProvider(), persistent));
}

TEST_F(Tpm2ParentsTest, ARecordWithoutTheParentsNameIsLostWhenItsPersistentParentIsRemoved) {
  MakePersistentSrk(kDerivableSrk);
  const TestKey key = WithoutParentName(EarlierKey());
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(*NewProvider(), key); }, "0x81000001");
}

TEST_F(Tpm2ParentsTest, AParentOfAnotherNameIsRefused) {
  TestKey key = EarlierKey();
  Bytes name(34, 7);
  name[0] = 0x00;
  name[1] = 0x0B;  // TPM2_ALG_SHA256
  key.key.handle["parentName"] = Base64UrlEncode(name);

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(*NewProvider(), key); }, "it is not at 0x81000001");
}

class DamagedParentNameTest : public Tpm2ParentsTest,
                              public ::testing::WithParamInterface<nlohmann::json> {};

TEST_P(DamagedParentNameTest, IsReported) {
  TestKey key = EarlierKey();
  key.key.handle["parentName"] = GetParam();

  ExpectError(
      ErrorCode::kStoreCorrupt, [&] { Sign(*NewProvider(), key); }, "handle.parentName");
}

INSTANTIATE_TEST_SUITE_P(Values, DamagedParentNameTest,
                         ::testing::Values(nullptr, 7, "", "AAs", "no base64url!",
                                           nlohmann::json::object()));

// Lost keys.

TEST_F(Tpm2ParentsTest, AKeyIsLostWhenThePersistentParentIsRemoved) {
  MakePersistentSrk();
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(*NewProvider(), key); }, "Enroll again");
}

TEST_F(Tpm2ParentsTest, AKeyIsLostWhenThePersistentParentIsReplaced) {
  MakePersistentSrk();
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");
  MakePersistentSrk("-G rsa");

  ExpectError(ErrorCode::kKeyLost, [&] { Sign(*NewProvider(), key); });
}

TEST_F(Tpm2ParentsTest, AKeyIsLostWhenTheTpmIsCleared) {
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_clear");
  const auto provider = NewProvider();

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(*provider, key); }, "Enroll again");
  EXPECT_TRUE(SignsRightly(*provider, CreateKey(*provider)));
}

TEST_F(Tpm2ParentsTest, AKeyOfAPersistentParentIsLostWhenTheTpmIsCleared) {
  MakePersistentSrk();
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_clear");

  ExpectError(ErrorCode::kKeyLost, [&] { Sign(*NewProvider(), key); });
}

TEST_F(Tpm2ParentsTest, AKeyIsLostToAnotherTpm) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  Sign(*provider, key);
  tpm_.SwapState();

  ExpectError(ErrorCode::kKeyLost, [&] { Sign(*provider, key); });
  EXPECT_TRUE(SignsRightly(*provider, CreateKey(*provider)));
}

// Passwords.

TEST_F(Tpm2ParentsTest, AnOwnerPasswordWithoutAPersistentParentIsReported) {
  tpm_.Tool("tpm2_changeauth -c owner secret");

  ExpectError(
      ErrorCode::kTpmOwnerAuthRequired, [&] { CreateKey(*NewProvider()); }, "tpm2_evictcontrol");
  const Availability availability = NewProvider()->Probe(Soon());
  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kTpmOwnerAuthRequired);
  EXPECT_EQ(availability.details.at("ownerAuthSet"), true);
}

TEST_F(Tpm2ParentsTest, AnOwnerPasswordSetAfterTheKeyWasMadeIsReported) {
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_changeauth -c owner secret");

  ExpectError(ErrorCode::kTpmOwnerAuthRequired, [&] { Sign(*NewProvider(), key); });
}

TEST_F(Tpm2ParentsTest, AnOwnerPasswordDoesNotMatterBelowAPersistentParent) {
  MakePersistentSrk();
  tpm_.Tool("tpm2_changeauth -c owner secret");
  const auto provider = NewProvider();

  EXPECT_TRUE(SignsRightly(*provider, CreateKey(*provider)));
}

TEST_F(Tpm2ParentsTest, APasswordOfThePersistentParentIsReported) {
  MakePersistentSrk("-G ecc -p secret");

  ExpectError(
      ErrorCode::kTpmOwnerAuthRequired, [&] { CreateKey(*NewProvider()); }, "0x81000001");
}

TEST_F(Tpm2ParentsTest, APasswordOfThePersistentParentIsNotReportedAsAWrongBinding) {
  MakePersistentSrk();
  const TestKey key = EarlierKey();
  tpm_.Tool("tpm2_evictcontrol -Q -c 0x81000001");
  // The same key: a primary's authValue does not influence its derivation.
  MakePersistentSrk("-G ecc -p secret");

  ExpectError(
      ErrorCode::kTpmOwnerAuthRequired, [&] { Sign(*NewProvider(), key); }, "0x81000001");
}

// Lockout.

TEST_F(Tpm2ParentsTest, ALockoutIsReported) {
  // The storage key of tpm2-tools has no noDA, so wrong authorizations count, and it cannot be used
  // in lockout.
  MakePersistentSrk();
  const TestKey key = EarlierKey();
  const std::string context = tpm_.socket_path() + ".da";
  tpm_.Tool("tpm2_dictionarylockout -Q -s -n 2 -t 1000 -l 1000");
  tpm_.Tool("tpm2_createprimary -Q -p right -c " + context);
  for (int i = 0; i < 3; ++i) {
    tpm_.Tool("tpm2_create -Q -C " + context +
              " -P wrong -u /dev/null -r /dev/null 2>/dev/null || true");
  }
  tpm_.Tool("tpm2_flushcontext -t");

  const auto provider = NewProvider();
  ExpectError(
      ErrorCode::kTpmLockout, [&] { Sign(*provider, key); }, "tpm2_dictionarylockout -c");
  ExpectError(ErrorCode::kTpmLockout, [&] { CreateKey(*provider); });
  const Availability availability = provider->Probe(Soon());
  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kTpmLockout);
  EXPECT_EQ(availability.details.at("inLockout"), true);
}

TEST_F(Tpm2ParentsTest, AKeyBelowTheDerivedParentSignsInALockedOutTpm) {
  const TestKey key = EarlierKey();
  const std::string context = tpm_.socket_path() + ".da";
  tpm_.Tool("tpm2_dictionarylockout -Q -s -n 1 -t 1000 -l 1000");
  tpm_.Tool("tpm2_createprimary -Q -p right -c " + context);
  for (int i = 0; i < 2; ++i) {
    tpm_.Tool("tpm2_create -Q -C " + context +
              " -P wrong -u /dev/null -r /dev/null 2>/dev/null || true");
  }
  tpm_.Tool("tpm2_flushcontext -t");
  const auto provider = NewProvider();
  const Availability availability = provider->Probe(Soon());
  ASSERT_EQ(availability.details.at("inLockout"), true);

  EXPECT_TRUE(availability.available());
  EXPECT_TRUE(SignsRightly(*provider, key));
}

}  // namespace
}  // namespace device_key
