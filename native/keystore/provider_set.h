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
  // The last argument is what KeyProvider::Locate returned.
  std::function<void(KeyProvider&, const KeyId&, const nlohmann::json&)> announce =
      [](KeyProvider&, const KeyId&, const nlohmann::json&) {};
  std::function<void(const KeyId&)> withdraw = [](const KeyId&) {};
};

// Thread-safe, as the providers are.
class ProviderSet {
 public:
  // In order of preference; hardware goes before everything else in any case.
  explicit ProviderSet(std::vector<std::shared_ptr<KeyProvider>> providers);

  // Makes a key with the first provider that can, in order. The next one is asked only after an
  // error that will not pass by itself (no hardware, no library, no permission): a busy device or
  // one that timed out must not degrade an enrollment for good, so any other error, and every
  // PassingError, is thrown as it is. What is not hardware makes a key only when `policy` allows
  // it. Otherwise, when hardware cannot be used and such a provider is available,
  // `degraded_protection_not_allowed` tells which class it has and why hardware was not used. One
  // that runs foreign code is not even asked then: it counts when it is configured.
  //
  // `announce(provider, key id, place)` is called before a provider that keeps its keys makes one,
  // and `withdraw(key id)` when it turns out that it has not.
  MadeKey Create(ProtectionPolicy policy, const KeyBinding& binding, const OperationLimits& limits,
                 const Announcements& announcements = {}) const;

  // The provider that made a key. Throws `hardware_unavailable` when this machine has none of that
  // name.
  KeyProvider& Named(const std::string& name) const;

  // Whom Support asks: those that run foreign code only when they are configured or no provider
  // before them can be used, or all of them.
  enum class Ask { kNeeded, kAll };

  // What each provider says when asked, and what a new key would be protected by:
  //   {"providers":[{"provider":"tpm2","protectionClass":"hardware_tpm","asked":true,
  //     "available":false,"code":"hardware_unavailable","message":"...","details":{...}}],
  //    "protectionClass":null,"hardware":false}
  // `code` and `message` are null for what is available, and `code` for what was not asked; the
  // last two members describe the first provider that is available.
  nlohmann::ordered_json Support(const OperationLimits& limits, Ask ask = Ask::kNeeded) const;

 private:
  std::vector<std::shared_ptr<KeyProvider>> providers_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PROVIDER_SET_H_
