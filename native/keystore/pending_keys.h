// Keys that are being made in a store that outlives this process.
#ifndef DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_
#define DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

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

  // To be called before the key is made. Throws `store_unwritable` and `store_insecure`.
  void Announce(const KeyProvider& provider, const KeyId& key_id) const;

  // To be called once the key is recorded or known not to exist. A failure is left to Sweep.
  void Withdraw(const KeyId& key_id) const;

  // Deletes the keys of `provider` that were announced long before `now` (Unix seconds) and never
  // recorded; at most once in kSweepIntervalSeconds, since it reads the whole directory. Those that
  // cannot be deleted now are left to the next sweep. Throws `pin_required`,
  // `pin_incorrect`, `pin_locked` and `user_canceled` alone: a PIN that was given for this
  // operation has been used up then, and going on would ask for it once more, for ever.
  void Sweep(KeyProvider& provider, int64_t now, const OperationLimits& limits);

 private:
  bool IsSweepDue(std::string_view provider, int64_t now);

  const std::filesystem::path directory_;
  std::mutex mutex_;
  std::map<std::string, int64_t, std::less<>> swept_;  // when, by provider; Unix seconds
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PENDING_KEYS_H_
