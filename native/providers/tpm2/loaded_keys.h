// The device keys that occupy slots of the TPM right now.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_

#include <list>
#include <string>

#include "providers/tpm2/orphans.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

struct LoadedKey {
  std::string key_id;
  TpmHandle handle;
};

// The most recently used keys, loaded. At most two: a TPM need not have more than three slots
// (PC Client Platform TPM Profile, section 4.4), a storage parent takes one, and behind the
// kernel's resource manager each loaded object is swapped in and out around every command.
class LoadedKeys {
 public:
  static constexpr size_t kLimit = 2;

  // The key, now the most recently used; nullptr when it is not loaded. Valid until the next call.
  LoadedKey* Find(const std::string& key_id);

  // Evicts so many that `slots` more objects fit beside a parent.
  void MakeRoom(size_t slots) { EvictTo(kLimit - slots); }
  LoadedKey& Insert(LoadedKey key);

  // Flushes the least recently used until `count` are left.
  void EvictTo(size_t count);
  void Remove(const std::string& key_id);
  // Forgets the keys that are not loaded any more, without flushing what is there instead. Whether
  // there were any.
  bool ForgetLost(TpmConnection& connection, const OperationLimits& limits);
  void AddNames(const TpmConnection& connection, ObjectNames& names) const;
  bool empty() const { return keys_.empty(); }

 private:
  std::list<LoadedKey> keys_;  // most recently used first
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_
