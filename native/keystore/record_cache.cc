#include "keystore/record_cache.h"

#include <utility>

namespace device_key {

std::shared_ptr<const StoredKey> RecordCache::Find(const KeyId& key_id, const FileStamp& stamp) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_id_.find(key_id.str());
  if (found == by_key_id_.end() || found->second->stamp != stamp) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->key;
}

void RecordCache::Put(const FileStamp& stamp, std::shared_ptr<const StoredKey> key) {
  const std::lock_guard lock(mutex_);
  const std::string& key_id = key->record().key_id.str();
  const auto [entry, is_new] = by_key_id_.try_emplace(key_id);
  if (!is_new) entries_.erase(entry->second);
  entry->second = entries_.insert(entries_.begin(), Entry{stamp, std::move(key)});
  if (entries_.size() > capacity_) {
    by_key_id_.erase(entries_.back().key->record().key_id.str());
    entries_.pop_back();
  }
}

void RecordCache::Erase(const KeyId& key_id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_id_.find(key_id.str());
  if (found == by_key_id_.end()) return;
  entries_.erase(found->second);
  by_key_id_.erase(found);
}

}  // namespace device_key
