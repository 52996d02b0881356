// The device keys that occupy slots of the TPM right now.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_

#include <list>
#include <memory>
#include <string>

#include "providers/tpm2/tpm_connection.h"

namespace device_key {

struct LoadedKey {
  std::string key_id;
  Bytes name;
  TpmHandle handle;
  bool in_use = false;                    // has signed; a key that was only created may never sign
  std::unique_ptr<TPMS_CONTEXT> context;  // saved at eviction; valid after the key is back
};

// The most recently used keys, loaded. At most two: a TPM need not have more than three slots
// (PC Client Platform TPM Profile, section 4.4), a storage parent takes one, and behind the
// kernel's resource manager each loaded object is swapped in and out around every command.
//
// The contexts of keys in use that have been evicted are kept (TPM2_ContextSave): loading one needs
// no parent.
class LoadedKeys {
 public:
  static constexpr size_t kLimit = 2;
  static constexpr size_t kContextLimit = 64;  // of some 5 KiB each

  explicit LoadedKeys(TpmConnection& connection) : connection_(connection) {}

  // The key, now the most recently used; nullptr when it is not loaded. Valid until the next call.
  LoadedKey* Find(const std::string& key_id);

  // Loads the saved context of the key into a free slot. nullptr when there is no context, or when
  // the TPM refuses it (it was reset or cleared). Throws TpmError when there is no slot.
  LoadedKey* Restore(const std::string& key_id);

  LoadedKey& Insert(LoadedKey key);

  // Evicts keys until `slots` more objects fit beside a parent.
  void MakeRoom(size_t slots) { EvictTo(kLimit - slots); }

  // Evicts the least recently used until `count` are left.
  void EvictTo(size_t count);

  // Flushes the key, and forgets its context.
  void Remove(const std::string& key_id);

  // Forgets the keys that are not loaded any more. Returns whether there were any.
  bool ForgetLost();
  bool empty() const { return keys_.empty(); }

 private:
  TpmConnection& connection_;
  std::list<LoadedKey> keys_;     // most recently used first
  std::list<LoadedKey> evicted_;  // most recently evicted first; with a context and no handle
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_
