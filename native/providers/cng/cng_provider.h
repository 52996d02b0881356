// Device keys in the key stores of Windows: Cryptography API: Next Generation (CNG).
#ifndef DEVICE_KEY_PROVIDERS_CNG_CNG_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_CNG_CNG_PROVIDER_H_

#include <memory>
#include <string_view>

#include "platform/bounded_calls.h"
#include "providers/key_provider.h"

namespace device_key {

enum class CngKeyStore {
  kPlatform,  // Microsoft Platform Crypto Provider: in the TPM
  // Microsoft Software Key Storage Provider: encrypted files that a system process uses; isolated
  // by the hypervisor (VBS) if Windows supports that.
  kSoftware,
};

// The keys belong to the user and are stored under "device-key-<key id>"; the record's handle is
// {"keyName": ..., "isolated"?: ...}. No call asks the user anything (NCRYPT_SILENT_FLAG).
// Thread-safe: calls run one after the other.
class CngProvider : public KeyProvider {
 public:
  explicit CngProvider(CngKeyStore key_store);

  // "cng-platform" and "cng-software".
  std::string_view name() const override;
  ProtectionClass protection_class() const override;
  bool keeps_keys() const override { return true; }

  Availability Probe(const OperationLimits& limits) override;
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override;
  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override;
  void Unload(const KeyId&, const OperationLimits&) override {}  // no key is kept loaded

 private:
  class Keys;

  const CngKeyStore key_store_;
  const std::shared_ptr<Keys> keys_;  // used only by calls; a call that hangs keeps it alive
  BoundedCalls calls_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_CNG_PROVIDER_H_
