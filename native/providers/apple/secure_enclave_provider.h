// Device keys in a Mac's Secure Enclave.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_PROVIDER_H_

#include <memory>

#include "providers/apple/authentication_context.h"
#include "providers/apple/user_presence.h"
#include "providers/key_provider.h"

namespace device_key {

// A key is an item of the data-protection keychain when the host executable has the entitlement,
// else it is kept in the record, encrypted by the enclave. The provider finds out by making the
// key. Thread-safe. See KeyProvider for the contract.
class SecureEnclaveProvider : public KeyProvider {
 public:
  explicit SecureEnclaveProvider(const UserPresence& user_presence)
      : user_presence_(user_presence),
        window_(std::make_shared<ReuseWindow>(user_presence.reuse)) {}

  std::string_view name() const override { return "secure-enclave"; }
  ProtectionClass protection_class() const override {
    return ProtectionClass::kHardwareSecureEnclave;
  }
  // True for hosts with the entitlement. It is unknown whether this host has it until a key has
  // been made.
  bool keeps_keys() const override { return true; }

  Availability Probe(const OperationLimits& limits) override;
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override;
  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override;
  void Unload(const KeyId&, const OperationLimits&) override {}  // nothing is kept open

 private:
  const UserPresence user_presence_;
  const std::shared_ptr<ReuseWindow> window_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_PROVIDER_H_
