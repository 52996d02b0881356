// Tpm2Provider::Bind: a key that was made for nobody gets its account and client, in the TPM.
#include <gtest/gtest.h>

#include "crypto/p256.h"
#include "platform/expect_error.h"
#include "providers/tpm2/tpm2_provider.h"
#include "support/swtpm.h"

namespace device_key {
namespace {

const KeyBinding kNobody;
const KeyBinding kAda{"account-ada", "client-1"};
const KeyBinding kBob{"account-bob", "client-1"};

class Tpm2BindTest : public ::testing::Test {
 protected:
  // Before tpm2-tss is loaded; the addon is told by lib/native.ts.
  static void SetUpTestSuite() { ::setenv("TSS2_LOG", "all+NONE", /*overwrite=*/0); }
  static OperationLimits Limits() {
    return {.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30)};
  }
  std::unique_ptr<Tpm2Provider> Connect() const {
    return std::make_unique<Tpm2Provider>(
        Tpm2Options{.tcti = tpm_.tcti(), .allow_simulator = true});
  }

  nlohmann::json Bind(const nlohmann::json& handle, const KeyBinding& binding) {
    return provider_->Bind(id_, handle, binding, Limits());
  }
  Bytes Sign(const nlohmann::json& handle, const KeyBinding& binding) {
    return provider_->Sign(id_, handle, binding, digest_, Limits());
  }
  void ExpectSigns(const nlohmann::json& handle, const KeyBinding& binding) {
    EXPECT_TRUE(P256PublicKey::FromSpki(key_.spki_der).Verify(digest_, Sign(handle, binding)));
  }
  void ExpectRefusesToSign(const nlohmann::json& handle, const KeyBinding& binding) {
    ExpectError(ErrorCode::kBindingMismatch, [&] { Sign(handle, binding); });
  }

  testing::SoftwareTpm tpm_;
  std::unique_ptr<Tpm2Provider> provider_ = Connect();
  const KeyId id_ = KeyId::Generate(ProtectionClass::kHardwareTpm);
  const ProviderKey key_ = provider_->Create(id_, kNobody, Limits());
  const Sha256Digest digest_ = Sha256(AsBytes("a statement"));
};

TEST_F(Tpm2BindTest, BoundKeySignsForItsBindingAlone) {
  const nlohmann::json bound = Bind(key_.handle, kAda);

  ExpectSigns(bound, kAda);
  ExpectRefusesToSign(bound, kBob);
  ExpectRefusesToSign(bound, kNobody);
}

TEST_F(Tpm2BindTest, BoundKeySignsAfterTheTpmWasRestarted) {
  const nlohmann::json bound = Bind(key_.handle, kAda);
  provider_.reset();
  tpm_.Restart();
  provider_ = Connect();

  ExpectSigns(bound, kAda);
  ExpectRefusesToSign(bound, kNobody);
}

TEST_F(Tpm2BindTest, KeyIsBoundAfterTheTpmWasRestarted) {
  tpm_.Restart();

  ExpectSigns(Bind(key_.handle, kAda), kAda);
}

TEST_F(Tpm2BindTest, BoundKeyCannotBeBoundAgain) {
  const nlohmann::json bound = Bind(key_.handle, kAda);

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Bind(bound, kBob); }, "another account or client");
  ExpectError(ErrorCode::kBindingMismatch, [&] { Bind(bound, kAda); });
  ExpectSigns(bound, kAda);
}

// What a crash before the record is written needs, and what makes a copy of the record worth
// keeping to whoever wants to bind the key a second time.
TEST_F(Tpm2BindTest, HandleFromBeforeStaysAsItWas) {
  const nlohmann::json for_ada = Bind(key_.handle, kAda);

  const nlohmann::json for_bob = Bind(key_.handle, kBob);

  ExpectSigns(for_bob, kBob);
  ExpectSigns(for_ada, kAda);
}

TEST_F(Tpm2BindTest, KeyThatWasLoadedBeforeAnotherProcessBoundItIsLoadedAgain) {
  Sign(key_.handle, kNobody);  // so it is loaded, under id_
  const KeyId elsewhere = KeyId::Generate(ProtectionClass::kHardwareTpm);
  const nlohmann::json bound = provider_->Bind(elsewhere, key_.handle, kAda, Limits());

  ExpectSigns(bound, kAda);
}

TEST_F(Tpm2BindTest, KeyThatIsLoadedBoundDoesNotSignForARecordFromBefore) {
  ExpectSigns(Bind(key_.handle, kAda), kAda);  // so it is loaded, bound

  ExpectSigns(Bind(key_.handle, kBob), kBob);
}

TEST_F(Tpm2BindTest, BindsWhileOtherKeysOccupyTheSlots) {
  for (int i = 0; i < 3; ++i) {
    provider_->Create(KeyId::Generate(ProtectionClass::kHardwareTpm), kBob, Limits());
  }

  ExpectSigns(Bind(key_.handle, kAda), kAda);
}

TEST_F(Tpm2BindTest, WrongBindingsLockNothing) {
  const nlohmann::json bound = Bind(key_.handle, kAda);

  for (int i = 0; i < 10; ++i) {  // three would do for a key without noDA
    ExpectError(ErrorCode::kBindingMismatch, [&] { Bind(bound, kBob); });
  }

  ExpectSigns(bound, kAda);
}

TEST_F(Tpm2BindTest, KeyOfAnotherTpmIsLost) {
  provider_.reset();
  tpm_.SwapState();
  provider_ = Connect();

  ExpectError(ErrorCode::kKeyLost, [&] { Bind(key_.handle, kAda); });
}

TEST_F(Tpm2BindTest, DamagedHandleIsReported) {
  ExpectError(
      ErrorCode::kStoreCorrupt,
      [&] {
        Bind({{"slot", 7}}, kAda);
      },
      "tss2PrivateKey");
}

TEST_F(Tpm2BindTest, LeavesNothingInTheTpm) {
  const nlohmann::json bound = Bind(key_.handle, kAda);
  ExpectError(ErrorCode::kBindingMismatch, [&] { Bind(bound, kBob); });

  provider_.reset();

  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
  EXPECT_EQ(tpm_.Capability("handles-loaded-session"), "");
}

}  // namespace
}  // namespace device_key
