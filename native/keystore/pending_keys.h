// Records of keys that are being made in a store that outlives this process.
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
// provider that keeps its keys (KeyProvider::keeps_keys), so that a key whose process dies before
// it is recorded can be found and deleted. Thread-safe; several processes may use one directory.
class PendingKeys {
 public:
  // Longer than any operation may take, so no operation is still working on an older file.
  static constexpr int64_t kAbandonedAfterSeconds = int64_t{2} * 3600;
  static constexpr int64_t kSweepIntervalSeconds = 3600;

  explicit PendingKeys(const std::filesystem::path& directory);

  // Call it before the key is made; `place` is the result of KeyProvider::Locate. Throws
  // `store_unwritable` and `store_insecure`.
  void Announce(const KeyProvider& provider, const KeyId& key_id,
                const nlohmann::json& place) const;

  // Call it when the key is recorded or known not to exist. Ignores failures; Sweep removes the
  // file.
  void Withdraw(const KeyId& key_id) const;

  // Deletes the keys that were announced for this provider and place long before `now` (Unix
  // seconds) and never recorded. Keys that cannot be deleted now are left to the next sweep.
  // So are keys of other places, because a token that is not present cannot be asked for its keys.
  //
  // Reads the whole directory, so it does nothing within kSweepIntervalSeconds after a sweep of the
  // same place. A sweep starts at a random file. A long one is interrupted, and continues at the
  // next call.
  //
  // Throws `pin_required`, `pin_incorrect`, `pin_locked` and `user_canceled` only: these have
  // used the PIN that was given for this operation, and continuing would ask for it again.
  void Sweep(KeyProvider& provider, const nlohmann::json& place, int64_t now,
             const OperationLimits& limits);

 private:
  struct SweptFiles {
    std::string first;  // the sweep started after this file name
    std::string last;   // the last file that an interrupted sweep examined; else ""
  };
  struct LastSweep {
    int64_t time;  // Unix seconds
    SweptFiles files;
  };

  static void SweepFile(const PrivateDirectory& directory, const KeyId& key_id,
                        KeyProvider& provider, const nlohmann::json& place, int64_t now,
                        const OperationLimits& limits);
  std::optional<SweptFiles> DueSweep(const std::string& swept, int64_t now);
  void Remember(const std::string& swept, LastSweep last);

  const std::filesystem::path directory_;
  std::mutex mutex_;
  std::map<std::string, LastSweep> sweeps_;  // by the provider's name and the place
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_
