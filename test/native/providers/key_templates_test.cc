#include "providers/tpm2/key_templates.h"

#include <gtest/gtest.h>

namespace device_key {
namespace {

TEST(DeviceKeyTemplateTest, IsADeviceKey) {
  EXPECT_TRUE(IsDeviceKey(DeviceKeyTemplate().publicArea));
  EXPECT_FALSE(IsStorageKey(DeviceKeyTemplate().publicArea));
}

class AttributeTest : public testing::TestWithParam<int> {};

TEST_P(AttributeTest, ChangedMakesItNoDeviceKey) {
  TPMT_PUBLIC area = DeviceKeyTemplate().publicArea;

  area.objectAttributes ^= TPMA_OBJECT{1} << GetParam();

  EXPECT_FALSE(IsDeviceKey(area));
}

INSTANTIATE_TEST_SUITE_P(EveryBit, AttributeTest, testing::Range(0, 32));

TEST(DeviceKeyTemplateTest, AnotherTypeHashSchemeOrCurveIsNoDeviceKey) {
  const TPMT_PUBLIC good = DeviceKeyTemplate().publicArea;
  TPMT_PUBLIC area = good;
  area.type = TPM2_ALG_RSA;
  EXPECT_FALSE(IsDeviceKey(area));
  area = good;
  area.nameAlg = TPM2_ALG_SHA1;
  EXPECT_FALSE(IsDeviceKey(area));
  area = good;
  area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P384;
  EXPECT_FALSE(IsDeviceKey(area));
  area = good;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  EXPECT_FALSE(IsDeviceKey(area));
  area = good;
  area.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA1;
  EXPECT_FALSE(IsDeviceKey(area));
}

TEST(DeviceKeyTemplateTest, AKeyThatAPolicyAuthorizesIsNoDeviceKey) {
  TPMT_PUBLIC area = DeviceKeyTemplate().publicArea;

  area.authPolicy.size = 32;

  EXPECT_FALSE(IsDeviceKey(area));
}

TEST(StorageKeyTemplateTest, IsAStorageKey) {
  EXPECT_TRUE(IsStorageKey(StorageKeyTemplate().publicArea));
  EXPECT_FALSE(IsDeviceKey(StorageKeyTemplate().publicArea));
}

TEST(StorageKeyTemplateTest, AKeyThatCouldLeaveOrDoesNotStoreIsNoStorageKey) {
  for (const TPMA_OBJECT needed :
       {TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_DECRYPT, TPMA_OBJECT_FIXEDTPM}) {
    TPMT_PUBLIC area = StorageKeyTemplate().publicArea;
    area.objectAttributes &= ~needed;
    EXPECT_FALSE(IsStorageKey(area)) << std::hex << needed;
  }
  TPMT_PUBLIC area = StorageKeyTemplate().publicArea;
  area.type = TPM2_ALG_SYMCIPHER;
  EXPECT_FALSE(IsStorageKey(area));
}

TEST(StorageKeyTemplateTest, AKeyOfAnotherHashCurveOrSizeIsNoStorageKey) {
  TPMT_PUBLIC area = StorageKeyTemplate().publicArea;
  area.nameAlg = TPM2_ALG_SHA384;
  EXPECT_TRUE(IsStorageKey(area));
  area.nameAlg = TPM2_ALG_SM3_256;
  EXPECT_FALSE(IsStorageKey(area));
  area = StorageKeyTemplate().publicArea;
  area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P384;
  EXPECT_TRUE(IsStorageKey(area));
  area.parameters.eccDetail.curveID = TPM2_ECC_BN_P256;
  EXPECT_FALSE(IsStorageKey(area));
  area = StorageKeyTemplate().publicArea;
  area.type = TPM2_ALG_RSA;
  area.parameters.rsaDetail.keyBits = 2048;
  EXPECT_TRUE(IsStorageKey(area));
  area.parameters.rsaDetail.keyBits = 1024;
  EXPECT_FALSE(IsStorageKey(area));
}

}  // namespace
}  // namespace device_key
