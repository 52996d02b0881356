// Keys that are being made in a store that outlives this process.
#ifndef DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_
#define DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "platform/private_directory.h"
#include "protocol/key_id.h"
#include "providers/key_provider.h"

namespace device_key {

// A file `<keyId>.pending` in the directory of key records says that a key is about to be made in a
// provider that keeps its keys (KeyProvider::keeps_keys), so that one whose process dies before it
// is recorded can be found and deleted. Thread-safe; several processes may use one directory.
class PendingKeys {
 public:
  // Longer than any operation may take: what is older has nobody working on it.
  static constexpr int64_t kAbandonedAfterSeconds = 2 * 3600;
  static constexpr int64_t kSweepIntervalSeconds = 3600;

  explicit PendingKeys(const std::filesystem::path& directory);

  // To be called before the key is made; `place` is what KeyProvider::Locate returned. Throws
  // `store_unwritable` and `store_insecure`.
  void Announce(const KeyProvider& provider, const KeyId& key_id,
                const nlohmann::json& place) const;

  // To be called once the key is recorded or known not to exist. A failure is left to Sweep.
  void Withdraw(const KeyId& key_id) const;

  // Deletes the keys that were announced for this provider and place long before `now` (Unix
  // seconds) and never recorded. Keys that cannot be deleted now are left to the next sweep, and so
  // are those of other places: a token that is not there cannot say that it has no such key.
  //
  // Reads the whole directory, so it does nothing within kSweepIntervalSeconds after a sweep of the
  // same place. One that takes long is interrupted, and goes on at the next call.
  //
  // Throws `pin_required`, `pin_incorrect`, `pin_locked` and `user_canceled` alone: a PIN that was
  // given for this operation has been used up then, and to go on would be to ask for it again.
  void Sweep(KeyProvider& provider, const nlohmann::json& place, int64_t now,
             const OperationLimits& limits);

 private:
  struct LastSweep {
    int64_t time;      // Unix seconds
    std::string file;  // of an interrupted sweep: the last file that it looked at; else ""
  };

  static void SweepFile(const PrivateDirectory& directory, const KeyId& key_id,
                        KeyProvider& provider, const nlohmann::json& place, int64_t now,
                        const OperationLimits& limits);
  std::optional<std::string> LastSweptFile(const std::string& swept, int64_t now);
  void Remember(const std::string& swept, LastSweep last);

  const std::filesystem::path directory_;
  std::mutex mutex_;
  std::map<std::string, LastSweep> sweeps_;  // by the provider's name and the place
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_
