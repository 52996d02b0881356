// The connection to the TPM fails while a key is made, and a weaker provider is allowed.
#include <gtest/gtest.h>

#include "keystore/provider_set.h"
#include "keystore/test_providers.h"
#include "platform/expect_error.h"
#include "providers/pkcs11/pkcs11_provider.h"
#include "providers/tpm2/tpm2_provider.h"
#include "support/softhsm.h"
#include "support/swtpm.h"
#include "support/tpm_proxy.h"

namespace device_key {
namespace {

class TpmLostTest : public ::testing::Test {
 protected:
  static Pkcs11Options Token() {
    Pkcs11Options options;
    options.module = testing::kSoftHsmModule;
    options.pin.value = testing::SoftHsm::kPin;
    return options;
  }

  ProtectionClass CreateWithFallback() {
    return providers_
        .Create(ProtectionPolicy::kAllowOsProtectedNonextractable, AuthValue{}, NoHurry())
        .key_id.protection_class();
  }

  const testing::SoftHsm hsm_;
  const testing::SoftwareTpm tpm_;
  TpmProxy proxy_{tpm_.socket_path()};
  const ProviderSet providers_{
      {std::make_shared<Tpm2Provider>(Tpm2Options{.tcti = proxy_.tcti(), .allow_simulator = true}),
       std::make_shared<Pkcs11Provider>(Token())}};
};

TEST_F(TpmLostTest, TwoLostConnectionsMakeNoWeakerKey) {
  proxy_.Inject(faults::CloseConnection(), {.command = TPM2_CC_Create, .times = 2});
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { CreateWithFallback(); }, "lost the TPM");

  EXPECT_EQ(CreateWithFallback(), ProtectionClass::kHardwareTpm);
}

TEST_F(TpmLostTest, ATpmThatHasAnsweredAndIsGoneMakesNoWeakerKey) {
  EXPECT_EQ(CreateWithFallback(), ProtectionClass::kHardwareTpm);
  proxy_.Inject(faults::CloseConnection(), {});
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { CreateWithFallback(); }, "lost the TPM");
}

TEST_F(TpmLostTest, ATpmThatNeverAnswersAllowsTheFallback) {
  proxy_.Inject(faults::CloseConnection(), {});
  EXPECT_EQ(CreateWithFallback(), ProtectionClass::kOsProtectedNonextractable);
}

}  // namespace
}  // namespace device_key
