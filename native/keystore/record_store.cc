#include "keystore/record_store.h"

#include <chrono>
#include <utility>

#include "keystore/key_file_name.h"
#include "platform/path_text.h"

namespace device_key {
namespace {

constexpr size_t kCachedRecords = 64;

std::string FileName(const KeyId& key_id) { return KeyFileName(key_id, kRecordSuffix); }

}  // namespace

RecordStore::RecordStore(const std::filesystem::path& directory)
    : directory_(std::filesystem::absolute(directory)), cache_(kCachedRecords) {}

void RecordStore::CheckReadable() const { PrivateDirectory::Open(directory_); }

RecordStore::Reservation RecordStore::Reserve() const {
  PrivateDirectory directory = PrivateDirectory::OpenOrCreate(directory_);
  auto file = directory.MakeFile();
  return {std::move(directory), std::move(file)};
}

std::shared_ptr<const StoredKey> RecordStore::Read(const KeyId& key_id) {
  if (const auto stamp = PrivateDirectory::StatByPath(directory_, FileName(key_id))) {
    if (auto key = cache_.Find(key_id, *stamp)) return key;
  }
  const std::optional<PrivateDirectory> directory = PrivateDirectory::Open(directory_);
  if (!directory) throw NotFound(key_id);
  std::optional<FileStamp> stamp = directory->Stat(FileName(key_id));
  if (!stamp) {
    cache_.Erase(key_id);
    throw NotFound(key_id);
  }
  std::shared_ptr<const StoredKey> key = cache_.Find(key_id, *stamp);
  if (key != nullptr) return key;
  key = Load(*directory, key_id, &*stamp);
  if (key == nullptr) throw NotFound(key_id);
  cache_.Put(*stamp, key);
  return key;
}

void RecordStore::Write(const Reservation& reservation, const KeyRecord& record) {
  const std::string name = FileName(record.key_id);
  // Making the key may have taken seconds. Check the directory's owner and mode again, and that the
  // path still leads to it.
  CheckReadable();
  reservation.directory.WriteNew(*reservation.file, name, EncodeKeyRecord(record));
  if (!PrivateDirectory::StatByPath(directory_, name)) {
    reservation.directory.Remove(name, std::chrono::steady_clock::now() + std::chrono::seconds(1));
    throw DeviceKeyError(ErrorCode::kStoreUnwritable,
                         "the key store directory " + Utf8FromPath(directory_) +
                             " was moved or removed while the key was made; try again");
  }
}

void RecordStore::Bind(const KeyRecord& bound, PrivateDirectory::Deadline deadline) {
  const std::optional<PrivateDirectory> directory = PrivateDirectory::Open(directory_);
  const auto bind = [&](const std::string& current) -> std::optional<std::string> {
    const KeyRecord record = DecodeKeyRecord(current, bound.key_id, PathOf(bound.key_id));
    const auto* account = std::get_if<AccountBinding>(&record.binding);
    if (account == nullptr || !account->empty()) return std::nullopt;
    return EncodeKeyRecord(bound);
  };
  if (!directory || !directory->Update(FileName(bound.key_id), bind, deadline)) {
    throw NotFound(bound.key_id);
  }
}

void RecordStore::Remove(const KeyId& key_id, PrivateDirectory::Deadline deadline) {
  cache_.Erase(key_id);
  const std::optional<PrivateDirectory> directory = PrivateDirectory::Open(directory_);
  if (!directory || !directory->Remove(FileName(key_id), deadline)) throw NotFound(key_id);
}

std::vector<ListedKey> RecordStore::List() {
  const std::optional<PrivateDirectory> directory = PrivateDirectory::Open(directory_);
  if (!directory) return {};
  std::vector<ListedKey> listed;
  for (const std::string& name : directory->List()) {
    const std::optional<KeyId> key_id = KeyIdFromFileName(name, kRecordSuffix);
    if (!key_id) continue;
    try {
      // Not through the cache: a long listing would evict the keys in use.
      FileStamp stamp;
      std::shared_ptr<const StoredKey> key = Load(*directory, *key_id, &stamp);
      if (key != nullptr) listed.push_back({*key_id, std::move(key), std::nullopt});
    } catch (const DeviceKeyError& error) {
      listed.push_back({*key_id, nullptr, error});
    }
  }
  return listed;
}

std::string RecordStore::PathOf(const KeyId& key_id) const {
  return Utf8FromPath(directory_ / FileName(key_id));
}

DeviceKeyError RecordStore::NotFound(const KeyId& key_id) const {
  return DeviceKeyError(ErrorCode::kKeyNotFound,
                        "there is no key " + key_id.str() + " in " + Utf8FromPath(directory_) +
                            ": it was deleted, or belongs to another store directory or user");
}

// Null when there is no such file, or no longer.
std::shared_ptr<const StoredKey> RecordStore::Load(const PrivateDirectory& directory,
                                                   const KeyId& key_id, FileStamp* stamp) const {
  std::optional<FileContents> file = directory.Read(FileName(key_id));
  if (!file) return nullptr;
  *stamp = file->stamp;
  KeyRecord record = DecodeKeyRecord(file->bytes, key_id, PathOf(key_id));
  try {
    P256PublicKey public_key = P256PublicKey::FromSpki(record.public_key_spki_der);
    return std::make_shared<const StoredKey>(std::move(record), std::move(public_key));
  } catch (const DeviceKeyError&) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the key record " + PathOf(key_id) +
                             " cannot be used: the member publicKeySpkiDerBase64 is not a P-256 "
                             "public key. It has been left as it is");
  }
}

}  // namespace device_key
