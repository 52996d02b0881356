// Device keys in tokens behind a PKCS#11 module: smart cards, security keys, network HSMs, and
// software tokens that another Unix user or a TPM protects.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_PROVIDER_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "platform/environment.h"
#include "providers/key_provider.h"
#include "providers/pkcs11/pin.h"
#include "providers/pkcs11/pkcs11_module.h"
#include "providers/pkcs11/token_uri.h"

namespace device_key {

// An absent option is taken from `token`, if that is a URI with the attribute, then from the
// environment's DEVICE_KEY_PKCS11_MODULE, DEVICE_KEY_PKCS11_TOKEN and DEVICE_KEY_PKCS11_PIN.
struct Pkcs11Options {
  std::optional<std::string> module;  // a path or soname; else kRegisteredModules
  std::optional<std::string> token;   // TokenUri; else the only one that can be used
  PinSource pin;
  Environment environment{};
};

// The keys are in the token, under the key id; the record's handle {"token": "pkcs11:..."} names
// the token. Only the record has the account and the client of a key. Thread-safe: the module's
// thread executes one call at a time. See KeyProvider for the contract.
class Pkcs11Provider : public KeyProvider {
 public:
  // Reads the environment; loads no module. Throws `invalid_params` for a malformed URI or a module
  // that is named by a relative path.
  explicit Pkcs11Provider(const Pkcs11Options& options);

  std::string_view name() const override { return "pkcs11"; }
  ProtectionClass protection_class() const override {
    return ProtectionClass::kOsProtectedNonextractable;
  }

  bool keeps_keys() const override { return true; }
  bool runs_foreign_code() const override { return true; }
  // Whether a module that exists, a token or a PIN was given.
  bool is_configured() const override { return configured_; }

  Availability Probe(const OperationLimits& limits) override;
  nlohmann::json Locate(const OperationLimits& limits) override;
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override;
  ProviderKey CreateAt(const nlohmann::json& place, const KeyId& id, const AuthValue& auth,
                       const OperationLimits& limits) override;
  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override;
  void Unload(const KeyId& id, const OperationLimits& limits) override;

 private:
  // Which token, and how to log in to it; shared with work that may outlive the provider.
  struct Choice {
    std::optional<TokenUri> token;
    PinSource pin;
  };

  static Token ChooseToken(ModuleState& state, const Choice& choice);
  static TokenSession& OpenChosen(ModuleState& state, const Choice& choice);
  static TokenSession& OpenRecorded(ModuleState& state, const Choice& choice,
                                    const TokenUri& recorded);

  const std::shared_ptr<const Choice> choice_;
  Pkcs11Module::User module_;
  const bool configured_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_PROVIDER_H_
