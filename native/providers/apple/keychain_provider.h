// Device keys in a Mac's keychain, for Macs without a Secure Enclave.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_PROVIDER_H_

#include "providers/key_provider.h"

namespace device_key {

// Items of the data-protection keychain that macOS does not export; the host executable has to be
// entitled to use it. With `user_presence` as in SecureEnclaveProvider. Thread-safe and without
// state. See KeyProvider for the contract.
class KeychainProvider : public KeyProvider {
 public:
  explicit KeychainProvider(bool user_presence) : user_presence_(user_presence) {}

  std::string_view name() const override { return "keychain"; }
  ProtectionClass protection_class() const override {
    return ProtectionClass::kOsProtectedNonextractable;
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

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_PROVIDER_H_
