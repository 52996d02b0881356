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
// A directory that does not exist holds no keys; reading does not create it. Each
// call opens the directory again, so that its owner and mode are checked and it may be moved away
// and back. Thread-safe; several processes may use one directory.
//
// All calls throw `store_insecure` and `store_unwritable` as PrivateDirectory does.
class RecordStore {
 public:
  // A relative `directory` is made absolute now.
  explicit RecordStore(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }

  // Throws the errors that reading any key would throw.
  void CheckReadable() const;

  // The file for the record of a key that is about to be made.
  struct Reservation {
    PrivateDirectory directory;
    std::shared_ptr<PrivateDirectory::NewFile> file;
  };

  // Creates the directory if necessary, and a temporary file in it: this shows that a record can be
  // written before hardware makes the key. The file is removed with the last copy of the
  // reservation, unless Write turns it into a record.
  Reservation Reserve() const;

  // Throws `key_not_found`, or `store_corrupt` naming the file and the error in it.
  std::shared_ptr<const StoredKey> Read(const KeyId& key_id);

  // If it throws, there is no record. There must not be one before.
  void Write(const Reservation& reservation, const KeyRecord& record);

  // Replaces the record of a key without a binding by `bound`, which is the same key with one. If
  // another process has bound the key first, that record stays. Throws `key_not_found`.
  void Bind(const KeyRecord& bound, PrivateDirectory::Deadline deadline);

  // Throws `key_not_found`.
  void Remove(const KeyId& key_id, PrivateDirectory::Deadline deadline);

  // Sorted by id. Ignores files that are not named like key records.
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
