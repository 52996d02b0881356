// A cache of key records.
#ifndef DEVICE_KEY_KEYSTORE_RECORD_CACHE_H_
#define DEVICE_KEY_KEYSTORE_RECORD_CACHE_H_

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "keystore/stored_key.h"
#include "platform/private_directory.h"

namespace device_key {

// Parsing a public key takes 75 to 95 microseconds, several times as long as the rest of a
// signature's work outside the hardware. An entry is valid only while its file has the stamp that
// it was read with, so changes by other processes are seen at once. Keeps the `capacity` most
// recently used entries. Thread-safe.
class RecordCache {
 public:
  explicit RecordCache(size_t capacity) : capacity_(capacity) {}

  // Null when there is no entry with this stamp.
  std::shared_ptr<const StoredKey> Find(const KeyId& key_id, const FileStamp& stamp);

  void Put(const FileStamp& stamp, std::shared_ptr<const StoredKey> key);
  void Erase(const KeyId& key_id);

 private:
  struct Entry {
    FileStamp stamp;
    std::shared_ptr<const StoredKey> key;
  };
  using Entries = std::list<Entry>;

  const size_t capacity_;
  std::mutex mutex_;
  Entries entries_;  // the most recently used first
  std::unordered_map<std::string, Entries::iterator> by_key_id_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_RECORD_CACHE_H_
