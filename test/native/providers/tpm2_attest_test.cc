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
  void Activate(const OperationLimits& limits = Soon()) {
    Bytes point{0, 68};
    for (int coordinate = 0; coordinate < 2; ++coordinate) {
      point.insert(point.end(), {0, 32});
      point.insert(point.end(), 32, 0x11);
    }
    Bytes blob{0, 68, 0, 32};
    blob.insert(blob.end(), 66, 0x22);
    provider_->ActivateCredential(attestation_key_,
                                  {.credential_blob = blob, .encrypted_secret = point}, limits);
  }
  void ExpectActivationReachesTheCredential() {
    ExpectError(
        ErrorCode::kInvalidParams, [&] { Activate(); }, "credentialBlob, encryptedSecret");
  }

  // Starts a session as another client, and returns its handle.
  Bytes StartSession(TPM2_SE type) {
    Bytes parameters{0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16};  // TPM_RH_NULL twice, then the nonce
    parameters.insert(parameters.end(), 16, 0x33);
    parameters.insert(parameters.end(), {0, 0, type, 0, 0x10, 0, 0x0B});  // TPM_ALG_NULL, SHA-256
    Bytes response = proxy_.Run(TPM2_CC_StartAuthSession, parameters);
    response.resize(4);
    return response;
  }

  // The handles of all loaded sessions, in their order.
  Bytes LoadedSessions() {
    const Bytes response =
        proxy_.Run(TPM2_CC_GetCapability, Bytes{0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 16});
    return Bytes(response.begin() + 9, response.end());
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

// The policy session, when one of the answers in its life is lost.
class Tpm2LostSessionTest : public Tpm2AttestTest, public ::testing::WithParamInterface<TPM2_CC> {};

TEST_P(Tpm2LostSessionTest, IsFlushed) {
  proxy_.Inject(faults::CloseConnection(), {.command = GetParam(), .times = 7});
  for (int i = 0; i < 3; ++i) {
    ExpectError(ErrorCode::kHardwareUnavailable, [&] { Activate(); });  // after two attempts
  }

  ExpectActivationReachesTheCredential();

  EXPECT_EQ(proxy_.hits(), 7);
  EXPECT_EQ(Left("handles-loaded-session"), "");
}

TEST_P(Tpm2LostSessionTest, IsFlushedAfterATimeout) {
  proxy_.Inject(faults::DropAnswer(), {.command = GetParam(), .times = 4});
  for (int i = 0; i < 4; ++i) {
    ExpectError(ErrorCode::kDeviceTimeout, [&] { Activate(Within(std::chrono::seconds(1))); });
  }

  ExpectActivationReachesTheCredential();

  EXPECT_EQ(Left("handles-loaded-session"), "");
}

INSTANTIATE_TEST_SUITE_P(Commands, Tpm2LostSessionTest,
                         ::testing::Values(TPM2_CC_StartAuthSession, TPM2_CC_PolicySecret,
                                           TPM2_CC_ActivateCredential));

TEST_F(Tpm2AttestTest, ASessionWhoseStartWasMisreportedIsFlushed) {
  proxy_.Inject(faults::Misreport(TPM2_RC_FAILURE),
                {.command = TPM2_CC_StartAuthSession, .times = 3});
  for (int i = 0; i < 3; ++i) {
    ExpectError(ErrorCode::kPlatformError, [&] { Activate(); });
  }

  ExpectActivationReachesTheCredential();

  EXPECT_EQ(proxy_.hits(), 3);
  EXPECT_EQ(Left("handles-loaded-session"), "");
}

// With the lost session all slots are in use.
TEST_F(Tpm2AttestTest, OlderSessionsOfOtherProgramsAreKept) {
  StartSession(TPM2_SE_HMAC);
  StartSession(TPM2_SE_POLICY);
  const Bytes before = LoadedSessions();
  proxy_.Inject(faults::CloseConnection(), {.command = TPM2_CC_StartAuthSession, .times = 1});

  ExpectActivationReachesTheCredential();

  EXPECT_EQ(proxy_.hits(), 1);
  EXPECT_EQ(LoadedSessions(), before);
}

// Sessions that another program starts after our connection was lost.
TEST_F(Tpm2AttestTest, NewerSessionsOfOtherProgramsAreKept) {
  Bytes others;
  const auto lose = [&](ByteView, const auto& forward) {
    forward();
    others = StartSession(TPM2_SE_HMAC);
    const Bytes policy = StartSession(TPM2_SE_POLICY);
    proxy_.Run(TPM2_CC_PolicyAuthValue, policy);
    others.insert(others.end(), policy.begin(), policy.end());
    return Bytes{};
  };
  proxy_.Inject(lose, {.command = TPM2_CC_StartAuthSession, .times = 1});

  ExpectActivationReachesTheCredential();

  EXPECT_EQ(LoadedSessions(), others);
  // The search has ended.
  const size_t searches = proxy_.Commands(TPM2_CC_GetCapability).size();
  EXPECT_TRUE(SignsRightly(*provider_, key_));
  EXPECT_EQ(proxy_.Commands(TPM2_CC_GetCapability).size(), searches);
}

TEST_F(Tpm2AttestTest, AttestationIsBusyWhenOtherProgramsHoldAllSessions) {
  for (int i = 0; i < 3; ++i) StartSession(TPM2_SE_POLICY);
  const Bytes before = LoadedSessions();

  ExpectError(
      ErrorCode::kDeviceBusy, [&] { Activate(); }, "tpm2_flushcontext --loaded-session");

  EXPECT_TRUE(SignsRightly(*provider_, key_));  // keys need no session
  EXPECT_EQ(LoadedSessions(), before);
  Left("handles-loaded-session");
  tpm_.Tool("tpm2_flushcontext --loaded-session");
  provider_ = ProviderAt(proxy_.tcti());
  ExpectActivationReachesTheCredential();
}

}  // namespace
}  // namespace device_key
