// Device keys in a Mac's Secure Enclave.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_PROVIDER_H_

#include "providers/key_provider.h"

namespace device_key {

// A key is an item of the data-protection keychain when the host executable is entitled to that,
// else it is kept in the record, wrapped by the enclave; which it is, is found by doing it. With
// `user_presence` each use of a new key has to be confirmed with Touch ID or the login password.
// Thread-safe and without state. See KeyProvider for the contract.
class SecureEnclaveProvider : public KeyProvider {
 public:
  explicit SecureEnclaveProvider(bool user_presence) : user_presence_(user_presence) {}

  std::string_view name() const override { return "secure-enclave"; }
  ProtectionClass protection_class() const override {
    return ProtectionClass::kHardwareSecureEnclave;
  }

  Availability Probe(const OperationLimits& limits) override;
  ProviderKey Create(const KeyId& id, const KeyBinding& binding,
                     const OperationLimits& limits) override;
  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const KeyBinding& binding,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override;
  void Unload(const KeyId&) override {}  // nothing is kept open

 private:
  const bool user_presence_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_SECURE_ENCLAVE_PROVIDER_H_
