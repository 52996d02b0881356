#include "providers/tpm2/loaded_keys.h"

#include <algorithm>
#include <utility>

#include "providers/tpm2/tpm_commands.h"

namespace device_key {

LoadedKey* LoadedKeys::Find(const std::string& key_id) {
  const auto found = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const LoadedKey& key) { return key.key_id == key_id; });
  if (found == keys_.end()) return nullptr;
  keys_.splice(keys_.begin(), keys_, found);
  return &keys_.front();
}

LoadedKey& LoadedKeys::Insert(LoadedKey key) {
  keys_.push_front(std::move(key));
  return keys_.front();
}

LoadedKey* LoadedKeys::Restore(TpmConnection& connection, const std::string& key_id,
                               ObjectNames& loading, const OperationLimits& limits) {
  const auto found = std::find_if(evicted_.begin(), evicted_.end(),
                                  [&](const EvictedKey& key) { return key.key_id == key_id; });
  if (found == evicted_.end()) return nullptr;
  loading = {found->name};
  TpmHandle handle;
  const TSS2_RC rc = LoadContext(connection, *found->context, handle, limits);
  loading.clear();
  if (IsObjectMemory(rc)) throw TpmError("load the key", rc);
  EvictedKey key = std::move(*found);
  evicted_.erase(found);
  if (rc != TSS2_RC_SUCCESS) return nullptr;
  return &Insert({key_id, std::move(handle), std::move(key.context)});
}

void LoadedKeys::EvictTo(TpmConnection& connection, size_t count, const OperationLimits& limits) {
  while (keys_.size() > count) {
    LoadedKey& key = keys_.back();
    if (key.context == nullptr) key.context = SaveContext(connection, key.handle.get(), limits);
    if (key.context != nullptr) {
      evicted_.push_front(
          {key.key_id, NameOf(connection, key.handle.get()), std::move(key.context)});
      if (evicted_.size() > kContextLimit) evicted_.pop_back();
    }
    keys_.pop_back();
  }
}

bool LoadedKeys::ForgetLost(TpmConnection& connection, const OperationLimits& limits) {
  return std::erase_if(keys_, [&](LoadedKey& key) {
           if (IsStillLoaded(connection, key.handle.get(), limits)) return false;
           key.handle.Abandon();
           return true;
         }) > 0;
}

void LoadedKeys::AddNames(const TpmConnection& connection, ObjectNames& names) const {
  for (const LoadedKey& key : keys_) names.insert(NameOf(connection, key.handle.get()));
}

void LoadedKeys::Remove(const std::string& key_id) {
  keys_.remove_if([&](const LoadedKey& key) { return key.key_id == key_id; });
  evicted_.remove_if([&](const EvictedKey& key) { return key.key_id == key_id; });
}

}  // namespace device_key
