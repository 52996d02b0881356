// Device keys in a TPM 2.0, with tpm2-tss.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM2_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM2_PROVIDER_H_

#include <memory>
#include <optional>
#include <string>

#include "platform/environment.h"
#include "providers/key_provider.h"
#include "providers/tpm2/shared_tpm.h"

namespace device_key {

struct Tpm2Options {
  // A TCTI string. If absent: DEVICE_KEY_TCTI of the environment, else device:/dev/tpmrm0.
  std::optional<std::string> tcti;
  // Whether a simulator may be used as hardware. If absent: whether DEVICE_KEY_ALLOW_SIMULATOR is
  // 1.
  std::optional<bool> allow_simulator;
  Environment environment = {};
};

// The keys are stored outside the TPM, wrapped by its storage key, in the record's handle
// (key_handle.h). At most two are loaded in the TPM.
// Thread-safe: one thread at a time uses the TPM. See KeyProvider for the contract.
class Tpm2Provider : public KeyProvider {
 public:
  // Reads the environment, and sets TSS2_LOG in it (Tss2Library::Silence). Does not access the TPM.
  // Throws `invalid_params` for a TCTI that is not supported.
  explicit Tpm2Provider(const Tpm2Options& options);

  std::string_view name() const override { return "tpm2"; }
  ProtectionClass protection_class() const override { return ProtectionClass::kHardwareTpm; }

  Availability Probe(const OperationLimits& limits) override;
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override;
  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  nlohmann::json Bind(const KeyId& id, const nlohmann::json& handle, const AuthValue& current,
                      const AuthValue& next, const OperationLimits& limits) override;
  nlohmann::json CreateAttestationKey(const OperationLimits& limits) override;
  KeyAttestation Attest(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
                        const nlohmann::json& attestation_key, ByteView challenge,
                        const OperationLimits& limits) override;
  Bytes ActivateCredential(const nlohmann::json& attestation_key,
                           const AttestationCredential& credential,
                           const OperationLimits& limits) override;
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override;
  void Unload(const KeyId& id, const OperationLimits& limits) override;

 private:
  // Throws `hardware_unavailable` when the TPM is a simulator and simulators are not allowed.
  void RequireTrustedTpm() const;

  const TctiSpec tcti_;
  const bool allow_simulator_;
  const std::shared_ptr<SharedTpm> tpm_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM2_PROVIDER_H_
