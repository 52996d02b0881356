#include "keystore/record_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <thread>
#include <vector>

#include "keystore/test_records.h"
#include "platform/expect_error.h"
#include "platform/temporary_directory.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

class RecordStoreTest : public testing::Test {
 protected:
  fs::path FileOf(const KeyRecord& record) const {
    return directory_ / (record.key_id.str() + ".json");
  }

  KeyRecord WriteNewRecord() {
    KeyRecord record = NewRecord();
    store_.Write(store_.Reserve(), record);
    return record;
  }

  KeyRecord WriteUnboundRecord() {
    KeyRecord record = NewRecord();
    record.binding = AccountBinding{};
    store_.Write(store_.Reserve(), record);
    return record;
  }

  static KeyRecord BoundTo(KeyRecord record, const std::string& account_user_id) {
    record.binding = AccountBinding{account_user_id, "client-1"};
    record.handle = {{"boundTo", account_user_id}};
    return record;
  }

  TemporaryDirectory scratch_;
  const fs::path directory_ = scratch_ / "keys";
  RecordStore store_{directory_};
};

TEST_F(RecordStoreTest, ReadsWhatWasWritten) {
  const KeyRecord record = WriteNewRecord();

  EXPECT_EQ(store_.Read(record.key_id)->record().handle, record.handle);
  EXPECT_EQ(RecordStore(directory_).Read(record.key_id)->record().handle, record.handle);
}

TEST_F(RecordStoreTest, IsEmptyWithoutADirectoryAndCreatesNone) {
  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Read(NewRecord().key_id); });
  ExpectError(ErrorCode::kKeyNotFound,
              [&] { store_.Remove(NewRecord().key_id, NoHurry().deadline); });
  EXPECT_TRUE(store_.List().empty());
  EXPECT_NO_THROW(store_.CheckReadable());
  EXPECT_FALSE(fs::exists(directory_));
}

// Only on POSIX: on Windows an open directory cannot be moved.
#if !defined(_WIN32)
TEST_F(RecordStoreTest, ARecordThatReadersWouldNotFindIsNotWritten) {
  const KeyRecord record = NewRecord();
  const RecordStore::Reservation reservation = store_.Reserve();
  fs::path moved = directory_;
  moved += "-moved";
  fs::rename(directory_, moved);

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { store_.Write(reservation, record); }, "was moved");

  EXPECT_TRUE(RecordStore(moved).List().empty());
}
#endif

TEST_F(RecordStoreTest, NamesTheMissingKey) {
  store_.Reserve();
  const KeyId key_id = NewRecord().key_id;

  ExpectError(
      ErrorCode::kKeyNotFound, [&] { store_.Read(key_id); }, key_id.str());
}

TEST_F(RecordStoreTest, ForgetsRemovedRecordsImmediately) {
  const KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);

  store_.Remove(record.key_id, NoHurry().deadline);

  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Read(record.key_id); });
  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Remove(record.key_id, NoHurry().deadline); });
}

TEST_F(RecordStoreTest, DoesNotParseAnUnchangedRecordTwice) {
  const KeyRecord record = WriteNewRecord();

  EXPECT_EQ(store_.Read(record.key_id), store_.Read(record.key_id));
}

TEST_F(RecordStoreTest, SeesRecordsThatOtherProcessesReplace) {
  KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);

  record.handle = {{"slot", 8}};
  WriteFile(directory_ / "new", EncodeKeyRecord(record));
  fs::rename(directory_ / "new", FileOf(record));

  EXPECT_EQ(store_.Read(record.key_id)->record().handle, record.handle);
}

TEST_F(RecordStoreTest, SeesRecordsThatOtherProcessesRemove) {
  const KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);

  RecordStore(directory_).Remove(record.key_id, NoHurry().deadline);

  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Read(record.key_id); });
}

TEST_F(RecordStoreTest, ChecksTheDirectoryEachTimeAlsoForCachedRecords) {
  const KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);

  AllowOthersToWrite(directory_);

  ExpectError(ErrorCode::kStoreInsecure, [&] { store_.Read(record.key_id); });
}

TEST_F(RecordStoreTest, SeesThatTheDirectoryWasMovedAwayAndCameBack) {
  const KeyRecord record = WriteNewRecord();
  const auto known = store_.Read(record.key_id);

  fs::rename(directory_, scratch_ / "elsewhere");
  ExpectError(ErrorCode::kKeyNotFound, [&] { store_.Read(record.key_id); });

  fs::rename(scratch_ / "elsewhere", directory_);
  EXPECT_EQ(store_.Read(record.key_id)->record().handle, record.handle);
}

TEST_F(RecordStoreTest, SeesThatTheDirectoryWasReplaced) {
  KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);

  fs::rename(directory_, scratch_ / "elsewhere");
  record.handle = {{"slot", 8}};
  RecordStore other(directory_);
  other.Write(other.Reserve(), record);

  EXPECT_EQ(store_.Read(record.key_id)->record().handle, record.handle);
}

TEST_F(RecordStoreTest, ChecksTheFileEachTimeAlsoForCachedRecords) {
  const KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);

  AllowOthersToWrite(FileOf(record));

  ExpectError(ErrorCode::kStoreInsecure, [&] { store_.Read(record.key_id); });
}

#if !defined(_WIN32)  // where links take a privilege to make
TEST_F(RecordStoreTest, DoesNotFollowALinkInPlaceOfTheDirectoryAlsoForCachedRecords) {
  for (const char* ending : {"", "/", "/.", "/.//"}) {
    const fs::path directory = scratch_ / "linked";
    RecordStore store(directory.string() + ending);
    const KeyRecord record = NewRecord();
    store.Write(store.Reserve(), record);
    store.Read(record.key_id);

    fs::rename(directory, scratch_ / "elsewhere");
    fs::create_directory_symlink(scratch_ / "elsewhere", directory);

    ExpectError(
        ErrorCode::kStoreInsecure, [&] { store.Read(record.key_id); }, "symbolic link");
    fs::remove(directory);
    fs::remove_all(scratch_ / "elsewhere");
  }
}

TEST_F(RecordStoreTest, DoesNotFollowALinkInPlaceOfARecord) {
  const KeyRecord record = WriteNewRecord();
  store_.Read(record.key_id);
  fs::rename(FileOf(record), scratch_ / "elsewhere");
  fs::create_symlink(scratch_ / "elsewhere", FileOf(record));

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { store_.Read(record.key_id); }, "symbolic link");
}
#endif

TEST_F(RecordStoreTest, NeverReplacesARecord) {
  KeyRecord record = WriteNewRecord();
  const std::string before = ReadFile(FileOf(record));
  record.provider = "other";

  ExpectError(ErrorCode::kStoreUnwritable, [&] { store_.Write(store_.Reserve(), record); });
  EXPECT_EQ(ReadFile(FileOf(record)), before);
}

TEST_F(RecordStoreTest, LeavesRecordsOfNewerVersionsUnchanged) {
  const KeyRecord record = WriteNewRecord();
  const std::string future = "{\"version\":3,\"unknown\":[1,2,3]}";
  WriteFile(FileOf(record), future);

  ExpectError(
      ErrorCode::kStoreCorrupt, [&] { store_.Read(record.key_id); }, "newer version");
  ExpectError(ErrorCode::kStoreUnwritable, [&] { store_.Write(store_.Reserve(), record); });
  EXPECT_EQ(store_.List().size(), 1u);
  EXPECT_EQ(ReadFile(FileOf(record)), future);
}

TEST_F(RecordStoreTest, RefusesARecordWithoutAP256Key) {
  KeyRecord record = NewRecord();
  record.public_key_spki_der = {1, 2, 3};
  store_.Write(store_.Reserve(), record);

  ExpectError(
      ErrorCode::kStoreCorrupt, [&] { store_.Read(record.key_id); }, "publicKeySpkiDerBase64");
}

TEST_F(RecordStoreTest, BindsAnUnboundKey) {
  const KeyRecord record = WriteUnboundRecord();
  store_.Read(record.key_id);

  store_.Bind(BoundTo(record, "account-1"), NoHurry().deadline);

  const KeyRecord& bound = store_.Read(record.key_id)->record();
  EXPECT_EQ(bound.binding, KeyBinding(AccountBinding{"account-1", "client-1"}));
  EXPECT_EQ(bound.handle, (nlohmann::json{{"boundTo", "account-1"}}));
  EXPECT_EQ(bound.public_key_spki_der, record.public_key_spki_der);
  EXPECT_EQ(CountEntries(directory_), 1u);
}

TEST_F(RecordStoreTest, KeepsTheFirstBinding) {
  const KeyRecord record = WriteUnboundRecord();
  store_.Bind(BoundTo(record, "account-1"), NoHurry().deadline);
  const std::string before = ReadFile(FileOf(record));

  store_.Bind(BoundTo(record, "account-2"), NoHurry().deadline);

  EXPECT_EQ(ReadFile(FileOf(record)), before);
}

TEST_F(RecordStoreTest, RefusesToBindAMissingKey) {
  const KeyRecord record = WriteUnboundRecord();
  store_.Remove(record.key_id, NoHurry().deadline);

  ExpectError(ErrorCode::kKeyNotFound,
              [&] { store_.Bind(BoundTo(record, "account-1"), NoHurry().deadline); });
  EXPECT_EQ(CountEntries(directory_), 0u);
  fs::remove(directory_);
  ExpectError(ErrorCode::kKeyNotFound,
              [&] { store_.Bind(BoundTo(record, "account-1"), NoHurry().deadline); });
}

TEST_F(RecordStoreTest, LeavesAnUnreadableRecordUnchangedWhenBinding) {
  const KeyRecord record = WriteUnboundRecord();
  WriteFile(FileOf(record), "half a rec");

  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { store_.Bind(BoundTo(record, "account-1"), NoHurry().deadline); });
  EXPECT_EQ(ReadFile(FileOf(record)), "half a rec");
}

TEST_F(RecordStoreTest, ListsKeysInTheOrderOfTheirIds) {
  std::vector<std::string> written;
  for (int i = 0; i < 3; ++i) written.push_back(WriteNewRecord().key_id.str());
  std::sort(written.begin(), written.end());

  std::vector<std::string> listed;
  for (const ListedKey& key : store_.List()) {
    EXPECT_EQ(key.key->record().key_id, key.key_id);
    listed.push_back(key.key_id.str());
  }
  EXPECT_EQ(listed, written);
}

TEST_F(RecordStoreTest, ListsBrokenRecordsWithTheirErrorsAmongTheOthers) {
  const KeyRecord good = WriteNewRecord();
  const KeyRecord broken = WriteNewRecord();
  const KeyRecord insecure = WriteNewRecord();
  WriteFile(FileOf(broken), "half a rec");
  AllowOthersToWrite(FileOf(insecure));

  int checked = 0;
  for (const ListedKey& key : store_.List()) {
    ++checked;
    if (key.key_id == good.key_id) {
      EXPECT_FALSE(key.error);
    } else {
      EXPECT_EQ(key.key, nullptr);
      EXPECT_EQ(key.error->code(),
                key.key_id == broken.key_id ? ErrorCode::kStoreCorrupt : ErrorCode::kStoreInsecure);
    }
  }
  EXPECT_EQ(checked, 3);
}

TEST_F(RecordStoreTest, IgnoresFilesThatAreNotRecords) {
  const KeyRecord record = WriteNewRecord();
  WriteFile(directory_ / "README.json", "{}");
  WriteFile(directory_ / (record.key_id.str() + ".json.bak"), "{}");
  WriteFile(directory_ / record.key_id.str(), "{}");

  EXPECT_EQ(store_.List().size(), 1u);
}

TEST_F(RecordStoreTest, EvictsTheLeastRecentlyUsedRecords) {
  const KeyRecord first = WriteNewRecord();
  const KeyRecord second = WriteNewRecord();
  const std::weak_ptr<const StoredKey> cached_first = store_.Read(first.key_id);
  const std::weak_ptr<const StoredKey> cached_second = store_.Read(second.key_id);
  for (int i = 0; i < 62; ++i) store_.Read(WriteNewRecord().key_id);
  store_.Read(first.key_id);

  store_.Read(WriteNewRecord().key_id);  // the sixty-fifth

  EXPECT_FALSE(cached_first.expired());
  EXPECT_TRUE(cached_second.expired());
}

TEST_F(RecordStoreTest, KeepsItsCacheWhenListing) {
  const KeyRecord record = WriteNewRecord();
  const std::weak_ptr<const StoredKey> cached = store_.Read(record.key_id);
  for (int i = 0; i < 64; ++i) WriteNewRecord();

  store_.List();

  EXPECT_FALSE(cached.expired());
}

// FAT and NTFS accept these names, and so do programs that support only letters, digits and "_-.".
TEST_F(RecordStoreTest, UsesFileNamesThatEveryFileSystemAccepts) {
  const KeyRecord record = WriteNewRecord();

  for (const auto& entry : fs::directory_iterator(directory_)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name, record.key_id.str() + ".json");
    EXPECT_TRUE(std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) || std::string_view("_-.").find(c) != std::string_view::npos;
    })) << name;
  }
}

TEST_F(RecordStoreTest, ServesManyThreadsAtOnce) {
  std::vector<KeyRecord> records;
  for (int i = 0; i < 4; ++i) records.push_back(WriteNewRecord());
  std::atomic<int> read = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        for (const KeyRecord& record : records) {
          if (store_.Read(record.key_id)->record().key_id == record.key_id) ++read;
        }
        const KeyRecord own = WriteNewRecord();
        store_.Read(own.key_id);
        store_.Remove(own.key_id, NoHurry().deadline);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(read, 4 * 50 * 4);
  EXPECT_EQ(store_.List().size(), 4u);
}

}  // namespace
}  // namespace device_key
