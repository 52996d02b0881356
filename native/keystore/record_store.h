// The directory of key records.
#ifndef DEVICE_KEY_KEYSTORE_RECORD_STORE_H_
#define DEVICE_KEY_KEYSTORE_RECORD_STORE_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "keystore/key_record.h"
#include "keystore/record_cache.h"
#include "keystore/stored_key.h"
#include "platform/error.h"
#include "platform/private_directory.h"
#include "protocol/key_id.h"

namespace device_key {

// One entry of a listing: a key, or why its record cannot be read.
struct ListedKey {
  KeyId key_id;
  std::shared_ptr<const StoredKey> key;  // null when there is an error
  std::optional<DeviceKeyError> error;
};

// One file `<keyId>.json` for each key (see platform/private_directory.h for what protects them).
// A directory that does not exist holds no keys; reading does not create it. The directory is
// opened anew for each call, so that its owner and mode are checked each time and it may be moved
// away and come back. Thread-safe; several processes may use one directory.
//
// All calls throw `store_insecure` and `store_unwritable` as PrivateDirectory does.
class RecordStore {
 public:
  // A relative `directory` is resolved now.
  explicit RecordStore(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }

  // Throws what reading would throw whatever the key.
  void CheckReadable() const;

  // Where the record of a key goes that is about to be made.
  struct Place {
    PrivateDirectory directory;
    std::shared_ptr<PrivateDirectory::NewFile> file;
  };

  // Creates the directory if need be, and proves that files can be made in it by making one. It is
  // removed again with the last copy of the place, unless Write puts a record into it.
  Place MakePlace() const;

  // Throws `key_not_found`, or `store_corrupt` naming the file and what is wrong with it.
  std::shared_ptr<const StoredKey> Read(const KeyId& key_id);

  // When this throws there is no record. There must have been none before.
  void Write(const Place& place, const KeyRecord& record);

  // Replaces the record of a key without a binding by `bound`, which is the same key with one. When
  // another process was faster, its record stays. Throws `key_not_found`.
  void Bind(const KeyRecord& bound, PrivateDirectory::Deadline deadline);

  // Throws `key_not_found`.
  void Remove(const KeyId& key_id, PrivateDirectory::Deadline deadline);

  // In the order of their ids. Files that are not named like key records are passed over.
  std::vector<ListedKey> List();

 private:
  std::string PathOf(const KeyId& key_id) const;
  DeviceKeyError NotFound(const KeyId& key_id) const;
  std::shared_ptr<const StoredKey> Load(const PrivateDirectory& directory, const KeyId& key_id,
                                        FileStamp* stamp) const;

  const std::filesystem::path directory_;
  RecordCache cache_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_RECORD_STORE_H_
