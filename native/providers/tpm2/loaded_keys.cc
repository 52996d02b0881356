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

void LoadedKeys::EvictTo(size_t count) {
  while (keys_.size() > count) keys_.pop_back();
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
}

}  // namespace device_key
