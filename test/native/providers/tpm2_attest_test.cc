// Attestation with a TPM without a resource manager, when some commands fail or their responses are
// lost.
#include "providers/tpm2_fixture.h"
#include "support/tpm_proxy.h"

namespace device_key {
namespace {

class Tpm2AttestTest : public Tpm2Test {
 protected:
  Tpm2AttestTest() {
    provider_ = ProviderAt(proxy_.tcti());
    key_ = CreateKey(*provider_);
    attestation_key_ = provider_->CreateAttestationKey(Soon());
  }

  KeyAttestation Attest() {
    return provider_->Attest(key_.id, key_.key.handle, key_.auth(), attestation_key_,
                             Bytes(32, 0x5A), Soon());
  }

  // A well-formed credential for a P-256 endorsement key. No TPM can decrypt it, which the TPM
  // detects only after all other steps of an activation.
  void Activate() {
    Bytes point{0, 68};
    for (int coordinate = 0; coordinate < 2; ++coordinate) {
      point.insert(point.end(), {0, 32});
      point.insert(point.end(), 32, 0x11);
    }
    Bytes blob{0, 68, 0, 32};
    blob.insert(blob.end(), 66, 0x22);
    provider_->ActivateCredential(attestation_key_,
                                  {.credential_blob = blob, .encrypted_secret = point}, Soon());
  }
  void ExpectActivationReachesTheCredential() {
    ExpectError(
        ErrorCode::kInvalidParams, [&] { Activate(); }, "credentialBlob, encryptedSecret");
  }

  // We must close our connection before tpm2-tools can connect.
  std::string Left(const std::string& capability) {
    provider_.reset();
    proxy_.Disconnect();
    return tpm_.Capability(capability);
  }

  TpmProxy proxy_{tpm_.socket_path()};
  std::unique_ptr<Tpm2Provider> provider_;
  TestKey key_{.key = {}};
  nlohmann::json attestation_key_;
};

TEST_F(Tpm2AttestTest, LeavesNothingInTheTpm) {
  EXPECT_EQ(Attest().endorsement_keys.size(), 1U);
  ExpectActivationReachesTheCredential();

  EXPECT_EQ(Left("handles-transient"), "");
  EXPECT_EQ(Left("handles-loaded-session"), "");
}

class Tpm2AttestRefusedTest : public Tpm2AttestTest,
                              public ::testing::WithParamInterface<TPM2_CC> {};

TEST_P(Tpm2AttestRefusedTest, LeavesNothingInTheTpm) {
  for (int skip = 0; skip < 3; ++skip) {
    proxy_.Inject(faults::Refuse(TPM2_RC_COMMAND_CODE),
                  {.command = GetParam(), .skip = skip, .times = 1});
    EXPECT_NO_FATAL_FAILURE({
      try {
        Attest();
        Activate();
      } catch (const DeviceKeyError&) {
      }
    });
    proxy_.ClearFaults();
  }
  EXPECT_GT(proxy_.hits(), 0);
  ExpectActivationReachesTheCredential();

  EXPECT_EQ(Left("handles-transient"), "");
  EXPECT_EQ(Left("handles-loaded-session"), "");
}

INSTANTIATE_TEST_SUITE_P(Commands, Tpm2AttestRefusedTest,
                         ::testing::Values(TPM2_CC_CreatePrimary, TPM2_CC_Load, TPM2_CC_Certify,
                                           TPM2_CC_NV_ReadPublic, TPM2_CC_StartAuthSession,
                                           TPM2_CC_PolicySecret, TPM2_CC_ActivateCredential));

// A session has no name that would identify it (docs/design.md).
TEST_F(Tpm2AttestTest, SessionsWhoseStartWasLostStayInTheTpm) {
  proxy_.Inject(faults::CloseConnection(), {.command = TPM2_CC_StartAuthSession, .times = 3});
  ExpectError(ErrorCode::kHardwareUnavailable, [&] { Activate(); });  // after two attempts

  ExpectError(
      ErrorCode::kDeviceBusy, [&] { Activate(); }, "tpm2_flushcontext --loaded-session");

  EXPECT_TRUE(SignsRightly(*provider_, key_));  // keys need no session
  provider_.reset();
  proxy_.Disconnect();
  tpm_.Tool("tpm2_flushcontext --loaded-session");
  provider_ = ProviderAt(proxy_.tcti());
  ExpectActivationReachesTheCredential();
}

}  // namespace
}  // namespace device_key
