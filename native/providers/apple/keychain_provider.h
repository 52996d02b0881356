// Device keys in a Mac's keychains, for Macs without a Secure Enclave.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_PROVIDER_H_

#include <memory>

#include "providers/apple/authentication_context.h"
#include "providers/apple/user_presence.h"
#include "providers/key_provider.h"

namespace device_key {

// Software keys that macOS does not export. A key is made in the data-protection keychain if that
// refuses to export it, else in the login keychain, which cannot ask for user presence. The
// provider finds out by making the key. Thread-safe. See KeyProvider for the contract.
class KeychainProvider : public KeyProvider {
 public:
  explicit KeychainProvider(const UserPresence& user_presence)
      : user_presence_(user_presence),
        window_(std::make_shared<ReuseWindow>(user_presence.reuse)) {}

  std::string_view name() const override { return "keychain"; }
  ProtectionClass protection_class() const override {
    return ProtectionClass::kOsProtectedNonextractable;
  }
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

#endif  // DEVICE_KEY_PROVIDERS_APPLE_KEYCHAIN_PROVIDER_H_
