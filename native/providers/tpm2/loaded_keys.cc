#include "providers/tpm2/loaded_keys.h"

#include <algorithm>
#include <utility>

#include "providers/tpm2/tpm_commands.h"

namespace device_key {
namespace {

auto HasId(const std::string& key_id) {
  return [&key_id](const LoadedKey& key) { return key.key_id == key_id; };
}

}  // namespace

LoadedKey* LoadedKeys::Find(const std::string& key_id) {
  const auto found = std::find_if(keys_.begin(), keys_.end(), HasId(key_id));
  if (found == keys_.end()) return nullptr;
  keys_.splice(keys_.begin(), keys_, found);
  return &keys_.front();
}

LoadedKey* LoadedKeys::Restore(const std::string& key_id) {
  const auto found = std::find_if(evicted_.begin(), evicted_.end(), HasId(key_id));
  if (found == evicted_.end()) return nullptr;
  const TSS2_RC rc = LoadContext(connection_, *found->context, found->name, found->handle);
  if (rc == TSS2_RC_SUCCESS) {
    keys_.splice(keys_.begin(), evicted_, found);
    return &keys_.front();
  }
  if (IsObjectMemory(rc)) throw TpmError("load the key", rc);
  evicted_.erase(found);
  return nullptr;
}

LoadedKey& LoadedKeys::Insert(LoadedKey key) {
  keys_.push_front(std::move(key));
  return keys_.front();
}

void LoadedKeys::EvictTo(size_t count) {
  while (keys_.size() > count) {
    if (LoadedKey& key = keys_.back(); key.in_use && key.context == nullptr) {
      key.context = SaveContext(connection_, key.handle.get());
    }
    LoadedKey key = std::move(keys_.back());
    keys_.pop_back();
    if (key.context == nullptr) continue;
    evicted_.push_front(
        {std::move(key.key_id), std::move(key.name), {}, true, std::move(key.context)});
    if (evicted_.size() > kContextLimit) evicted_.pop_back();
  }
}

bool LoadedKeys::ForgetLost() {
  return std::erase_if(keys_, [&](LoadedKey& key) {
           if (IsStillLoaded(connection_, key.handle.get(), key.name)) return false;
           key.handle.Abandon();
           return true;
         }) > 0;
}

void LoadedKeys::Remove(const std::string& key_id) {
  keys_.remove_if(HasId(key_id));
  evicted_.remove_if(HasId(key_id));
}

}  // namespace device_key
