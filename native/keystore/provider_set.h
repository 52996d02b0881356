// The providers of this machine, and which of them makes a new key.
#ifndef DEVICE_KEY_KEYSTORE_PROVIDER_SET_H_
#define DEVICE_KEY_KEYSTORE_PROVIDER_SET_H_

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocol/types.h"
#include "providers/key_provider.h"

namespace device_key {

// Whether keys of this class live in hardware of their own.
bool IsHardware(ProtectionClass protection_class);

// A key that exists in its provider and nowhere else yet.
struct MadeKey {
  KeyProvider& provider;
  KeyId key_id;
  ProviderKey key;
};

struct Announcements {
  std::function<void(KeyProvider&, const KeyId&)> announce = [](KeyProvider&, const KeyId&) {};
  std::function<void(const KeyId&)> withdraw = [](const KeyId&) {};
};

// Thread-safe, as the providers are.
class ProviderSet {
 public:
  // In order of preference; hardware goes before everything else in any case.
  explicit ProviderSet(std::vector<std::shared_ptr<KeyProvider>> providers);

  // Makes a key with the first provider that can, in order. The next one is asked only after an
  // error that will not pass by itself (no hardware, no library, no permission): a busy device or
  // one that timed out must not degrade an enrollment for good, so any other error is thrown as it
  // is. What is not hardware is asked only when `policy` allows it; when only such a provider is
  // available, `degraded_protection_not_allowed` tells which class it has and why hardware was not.
  //
  // `announce(provider, key id)` is called before a provider that keeps its keys makes one, and
  // `withdraw(key id)` when it turns out that it has not.
  MadeKey Create(ProtectionPolicy policy, const KeyBinding& binding, const OperationLimits& limits,
                 const Announcements& announcements = {}) const;

  // The provider that made a key. Throws `hardware_unavailable` when this machine has none of that
  // name.
  KeyProvider& Named(const std::string& name) const;

  // What each provider says when asked, and what a new key would be protected by:
  //   {"providers":[{"provider":"tpm2","protectionClass":"hardware_tpm","available":false,
  //     "code":"hardware_unavailable","message":"...","details":{...}}],
  //    "protectionClass":null,"hardware":false}
  // `code` and `message` are null for what is available; the last two members describe the first
  // provider that is.
  nlohmann::ordered_json Support(const OperationLimits& limits) const;

 private:
  std::vector<std::shared_ptr<KeyProvider>> providers_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PROVIDER_SET_H_
