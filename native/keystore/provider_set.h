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

// Whether keys of this class are in dedicated hardware.
bool IsHardware(ProtectionClass protection_class);

// A key that exists in its provider but has no record yet.
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
  // In order of preference; hardware is always first.
  explicit ProviderSet(std::vector<std::shared_ptr<KeyProvider>> providers);

  // Makes a key with the first provider that can, in order. The next one is asked only after a
  // lasting error (no hardware, no library, no permission). A busy device or a timeout must not
  // lead to a weaker key, so any other error, and every PassingError, is thrown as it is. A
  // fallback makes a key only when `policy` allows it. Otherwise, when hardware cannot be used and
  // a fallback is available, `degraded_protection_not_allowed` names its class and why hardware was
  // not used. A fallback that runs foreign code is not asked for this: it counts when it is
  // configured.
  //
  // `announce(provider, key id, place)` is called before a provider that keeps its keys makes one,
  // and `withdraw(key id)` when it has not made one.
  MadeKey Create(ProtectionPolicy policy, const AuthValue& auth, const OperationLimits& limits,
                 const Announcements& announcements = {}) const;

  // The provider that made a key. Throws `hardware_unavailable` when this machine has no provider
  // of that name.
  KeyProvider& Named(const std::string& name) const;

  // Which providers Support asks: all of them, or those that run foreign code only when they are
  // configured or no provider before them can be used.
  enum class Ask { kNeeded, kAll };

  // What each provider answers, and what would protect a new key:
  //   {"providers":[{"provider":"tpm2","protectionClass":"hardware_tpm","asked":true,
  //     "available":false,"code":"hardware_unavailable","message":"...","details":{...}}],
  //    "protectionClass":null,"hardware":false}
  // `code` and `message` are null for an available provider, and `code` for one that was not asked;
  // the last two members describe the first provider that is available.
  nlohmann::ordered_json Support(const OperationLimits& limits, Ask ask = Ask::kNeeded) const;

 private:
  std::vector<std::shared_ptr<KeyProvider>> providers_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PROVIDER_SET_H_
