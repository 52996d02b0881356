// The device keys that are loaded in the TPM.
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
  std::unique_ptr<TPMS_CONTEXT> context;  // saved at eviction; stays valid after a reload
};

// Keeps the most recently used keys loaded, at most two. A TPM may have only three slots (PC Client
// Platform TPM Profile, section 4.4), and a storage parent takes one. The kernel's resource manager
// swaps every loaded object in and out around each command.
//
// When a key that has signed is evicted, its context is kept (TPM2_ContextSave): loading a context
// needs no parent.
class LoadedKeys {
 public:
  static constexpr size_t kLimit = 2;
  static constexpr size_t kContextLimit = 64;  // about 5 KiB each

  explicit LoadedKeys(TpmConnection& connection) : connection_(connection) {}

  // Returns the key and makes it the most recently used; nullptr if it is not loaded. Valid until
  // the next call.
  LoadedKey* Find(const std::string& key_id);

  // Loads the saved context of the key into a free slot. Returns nullptr if there is no context, or
  // if the TPM refuses it because it was reset or cleared. Throws TpmError if there is no free
  // slot.
  LoadedKey* Restore(const std::string& key_id);

  LoadedKey& Insert(LoadedKey key);

  // Evicts keys until `slots` more objects fit in the TPM beside a parent.
  void MakeRoom(size_t slots) { EvictTo(kLimit - slots); }

  // Evicts the least recently used keys until `count` keys are left.
  void EvictTo(size_t count);

  // Flushes the key and drops its context.
  void Remove(const std::string& key_id);

  // Drops the keys that are no longer loaded. Returns whether there were any.
  bool ForgetLost();
  bool empty() const { return keys_.empty(); }

 private:
  TpmConnection& connection_;
  std::list<LoadedKey> keys_;     // most recently used first
  std::list<LoadedKey> evicted_;  // most recently evicted first; each has a context and no handle
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_LOADED_KEYS_H_
