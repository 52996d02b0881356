// Tpm2Provider::Bind: gives an unbound key its account and client, in the TPM.
#include "providers/tpm2_fixture.h"
#include "support/tpm_proxy.h"

namespace device_key {
namespace {

const AccountBinding kUnbound;
const AccountBinding kAda{"account-ada", "client-1"};
const AccountBinding kBob{"account-bob", "client-1"};

class Tpm2BindTest : public Tpm2Test {
 protected:
  nlohmann::json Bind(const nlohmann::json& handle, const AccountBinding& binding) {
    return provider_->Bind(key_.id, handle, AuthValueOf(kUnbound), AuthValueOf(binding), Soon());
  }
  TestKey With(const nlohmann::json& handle, const AccountBinding& binding) const {
    return {.id = key_.id, .binding = binding, .key = {key_.key.spki_der, handle}};
  }
  void ExpectSigns(const nlohmann::json& handle, const AccountBinding& binding) {
    EXPECT_TRUE(SignsRightly(*provider_, With(handle, binding)));
  }
  void ExpectRefusesToSign(const nlohmann::json& handle, const AccountBinding& binding) {
    ExpectError(ErrorCode::kBindingMismatch, [&] { Sign(*provider_, With(handle, binding)); });
  }

  std::unique_ptr<Tpm2Provider> provider_ = NewProvider();
  const TestKey key_ = CreateKey(*provider_, kUnbound);
  const nlohmann::json unbound_ = key_.key.handle;
};

TEST_F(Tpm2BindTest, ABoundKeySignsOnlyForItsBinding) {
  const nlohmann::json bound = Bind(unbound_, kAda);

  ExpectSigns(bound, kAda);
  ExpectRefusesToSign(bound, kBob);
  ExpectRefusesToSign(bound, kUnbound);
}

TEST_F(Tpm2BindTest, ABoundKeySignsAfterTheTpmWasRestarted) {
  const nlohmann::json bound = Bind(unbound_, kAda);
  provider_.reset();
  tpm_.Restart();
  provider_ = NewProvider();

  ExpectSigns(bound, kAda);
  ExpectRefusesToSign(bound, kUnbound);
}

TEST_F(Tpm2BindTest, AKeyIsBoundAfterTheTpmWasRestarted) {
  tpm_.Restart();

  ExpectSigns(Bind(unbound_, kAda), kAda);
}

TEST_F(Tpm2BindTest, ABoundKeyCannotBeBoundAgain) {
  const nlohmann::json bound = Bind(unbound_, kAda);

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Bind(bound, kBob); }, "another account or client");
  ExpectError(ErrorCode::kBindingMismatch, [&] { Bind(bound, kAda); });
  ExpectSigns(bound, kAda);
}

// A crash before the record is written relies on this. It is also the reason why a copy of the old
// record lets the key be bound a second time.
TEST_F(Tpm2BindTest, TheOldHandleStaysUnbound) {
  const nlohmann::json for_ada = Bind(unbound_, kAda);

  const nlohmann::json for_bob = Bind(unbound_, kBob);

  ExpectSigns(for_bob, kBob);
  ExpectSigns(for_ada, kAda);
}

TEST_F(Tpm2BindTest, AKeyThatWasLoadedBeforeAnotherProcessBoundItIsLoadedAgain) {
  ExpectSigns(unbound_, kUnbound);  // loads the key
  const KeyId elsewhere = KeyId::Generate(ProtectionClass::kHardwareTpm);
  const nlohmann::json bound =
      provider_->Bind(elsewhere, unbound_, AuthValueOf(kUnbound), AuthValueOf(kAda), Soon());

  ExpectSigns(bound, kAda);
}

TEST_F(Tpm2BindTest, AKeyThatWasEvictedBeforeAnotherProcessBoundItIsLoadedAgain) {
  ExpectSigns(unbound_, kUnbound);
  const KeyId elsewhere = KeyId::Generate(ProtectionClass::kHardwareTpm);
  const nlohmann::json bound =
      provider_->Bind(elsewhere, unbound_, AuthValueOf(kUnbound), AuthValueOf(kAda), Soon());
  for (int i = 0; i < 2; ++i) CreateKey(*provider_, kBob);

  ExpectSigns(bound, kAda);
}

TEST_F(Tpm2BindTest, ALoadedBoundKeyDoesNotSignForItsOldRecord) {
  ExpectSigns(Bind(unbound_, kAda), kAda);  // loads the bound key

  ExpectSigns(Bind(unbound_, kBob), kBob);
}

TEST_F(Tpm2BindTest, BindsWhileOtherKeysOccupyTheSlots) {
  for (int i = 0; i < 3; ++i) CreateKey(*provider_, kBob);

  ExpectSigns(Bind(unbound_, kAda), kAda);
}

TEST_F(Tpm2BindTest, WrongBindingsDoNotLockTheTpm) {
  const nlohmann::json bound = Bind(unbound_, kAda);

  for (int i = 0; i < 10; ++i) {  // without noDA three would lock the TPM out
    ExpectError(ErrorCode::kBindingMismatch, [&] { Bind(bound, kBob); });
  }

  ExpectSigns(bound, kAda);
}

TEST_F(Tpm2BindTest, AKeyOfAnotherTpmIsLost) {
  provider_.reset();
  tpm_.SwapState();
  provider_ = NewProvider();

  ExpectError(ErrorCode::kKeyLost, [&] { Bind(unbound_, kAda); });
}

// A damaged response must not replace a working record.
TEST_F(Tpm2BindTest, AKeyWhoseNewPrivateAreaWasChangedInTransitIsNotBound) {
  provider_.reset();
  TpmProxy proxy(tpm_.socket_path());
  provider_ = ProviderAt(proxy.tcti());
  const size_t in_private_area = 10 + 4 + 2 + 20;
  proxy.Inject(faults::FlipBits(in_private_area, 1),
               {.command = TPM2_CC_ObjectChangeAuth, .times = 1});

  ExpectError(
      ErrorCode::kPlatformError, [&] { Bind(unbound_, kAda); }, "changed on the way");

  ExpectSigns(Bind(unbound_, kAda), kAda);
  provider_.reset();
}

TEST_F(Tpm2BindTest, ADamagedHandleIsReported) {
  ExpectError(
      ErrorCode::kStoreCorrupt,
      [&] {
        Bind({{"slot", 7}}, kAda);
      },
      "tss2PrivateKey");
}

TEST_F(Tpm2BindTest, LeavesNothingInTheTpm) {
  const nlohmann::json bound = Bind(unbound_, kAda);
  ExpectError(ErrorCode::kBindingMismatch, [&] { Bind(bound, kBob); });

  provider_.reset();

  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
  EXPECT_EQ(tpm_.Capability("handles-loaded-session"), "");
}

}  // namespace
}  // namespace device_key
