// Another client of a TPM without a resource manager puts another device key at our key's handle,
// after the library has chosen the handle and before the TPM signs.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "crypto/p256.h"
#include "crypto/sha256.h"
#include "keystore/device_key_store.h"
#include "keystore/test_providers.h"
#include "keystore/test_records.h"
#include "platform/expect_error.h"
#include "platform/temporary_directory.h"
#include "providers/tpm2/tpm2_provider.h"
#include "support/swtpm.h"
#include "support/tpm_proxy.h"

namespace device_key {
namespace {

class TpmSwappedKeyTest : public ::testing::Test {
 protected:
  // Two keys with one binding have the same authValue, so that the TPM accepts both.
  TpmSwappedKeyTest() {
    Sign(other_);
    // The last TPM2_Sign has the other key's handle after its header.
    const Bytes command = proxy_.Commands(TPM2_CC_Sign).back();
    context_ = proxy_.Run(TPM2_CC_ContextSave, ByteView(command).subspan(10, 4));
  }

  CreateResponse Create() {
    return store_.Create({.account_user_id = "account-1", .client_id = "client-1"}, NoHurry(),
                         [] { return true; });
  }

  SignResponse Sign(const CreateResponse& key) {
    return store_.Sign(store_.Prepare({key.key_id, NewConnection()}), NoHurry());
  }

  static bool Verifies(const CreateResponse& key, const SignResponse& response) {
    return P256PublicKey::FromSpki(key.public_key_spki_der)
        .Verify(Sha256(AsBytes(response.signed_bytes)), response.signature_der);
  }

  // Before the TPM executes the command, the other key gets the handle that the command names.
  TpmFault Swap() {
    return [this](ByteView command, const auto& forward) {
      const Bytes handle(command.begin() + 10, command.begin() + 14);
      proxy_.Run(TPM2_CC_FlushContext, handle);
      // The TPM assigns the lowest free handle.
      std::vector<Bytes> loaded;
      do {
        loaded.push_back(proxy_.Run(TPM2_CC_ContextLoad, context_));
      } while (loaded.back() != handle);
      loaded.pop_back();
      for (const Bytes& filler : loaded) proxy_.Run(TPM2_CC_FlushContext, filler);
      ++swaps_;
      return forward();
    };
  }

  const TemporaryDirectory directory_;
  const testing::SoftwareTpm tpm_;
  TpmProxy proxy_{tpm_.socket_path()};
  DeviceKeyStore store_{{.directory = directory_ / "keys", .now = [] { return kNow; }},
                        {std::make_shared<Tpm2Provider>(
                            Tpm2Options{.tcti = proxy_.tcti(), .allow_simulator = true})}};
  const CreateResponse key_ = Create();
  const CreateResponse other_ = Create();
  Bytes context_;  // of the other key
  int swaps_ = 0;
};

TEST_F(TpmSwappedKeyTest, ASwapIsRepairedByLoadingTheKeyAgain) {
  proxy_.Inject(Swap(), {.command = TPM2_CC_Sign, .times = 1});

  EXPECT_TRUE(Verifies(key_, Sign(key_)));
  EXPECT_EQ(swaps_, 1);

  EXPECT_TRUE(Verifies(key_, Sign(key_)));
  EXPECT_TRUE(Verifies(other_, Sign(other_)));
}

TEST_F(TpmSwappedKeyTest, ASwapBeforeEverySignatureIsAnError) {
  proxy_.Inject(Swap(), {.command = TPM2_CC_Sign});

  ExpectError(
      ErrorCode::kCryptoError, [&] { Sign(key_); }, "holds another key");
  EXPECT_EQ(swaps_, 2);

  proxy_.ClearFaults();
  EXPECT_TRUE(Verifies(key_, Sign(key_)));
}

}  // namespace
}  // namespace device_key
