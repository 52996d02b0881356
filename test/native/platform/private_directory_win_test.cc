// PrivateDirectory on Windows. These tests run in Wine, which maps access lists to the modes of the
// underlying files: it shows the system and this user, and everyone if the mode gives others a
// right. Wine does not store the flag that nothing is inherited ("D:P").
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <regex>
#include <thread>

#include "platform/access_list.h"
#include "platform/expect_error.h"
#include "platform/private_directory.h"
#include "platform/temporary_directory.h"
#include "platform/windows_api.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::IsEmpty;

PrivateDirectory::Deadline Soon() { return steady_clock::now() + std::chrono::seconds(60); }
PrivateDirectory::Deadline AtOnce() { return steady_clock::now(); }

MATCHER(IsForThisUserAlone, "") {
  static const std::regex expected("D:P?(\\(A;(OICI)?;FA;;;SY\\))?\\(A;(OICI)?;FA;;;ME\\)");
  return std::regex_match(arg, expected);
}

class PrivateDirectoryWinTest : public testing::Test {
 protected:
  PrivateDirectory OpenOrCreate() { return PrivateDirectory::OpenOrCreate(path_); }

  static bool UpdateTo(const PrivateDirectory& directory, const std::string& contents,
                       PrivateDirectory::Deadline deadline) {
    return directory.Update(
        "file", [&](const std::string&) { return contents; }, deadline);
  }

  const TemporaryDirectory scratch_;
  const fs::path path_ = scratch_ / "keys";
};

TEST_F(PrivateDirectoryWinTest, IsCreatedOnlyForThisUser) {
  OpenOrCreate();

  EXPECT_THAT(AccessList(path_), IsForThisUserAlone());
}

TEST_F(PrivateDirectoryWinTest, CreatesItsParentsOnlyForThisUser) {
  PrivateDirectory::OpenOrCreate(scratch_ / "share" / "deeper" / "keys");

  EXPECT_THAT(AccessList(scratch_ / "share"), IsForThisUserAlone());
  EXPECT_THAT(AccessList(scratch_ / "share" / "deeper"), IsForThisUserAlone());
  // The control: a directory that PrivateDirectory did not create.
  EXPECT_THAT(AccessList(scratch_.path()), testing::Not(IsForThisUserAlone()));
}

TEST_F(PrivateDirectoryWinTest, CreatesFilesOnlyForThisUser) {
  OpenOrCreate().WriteNew("file", "contents");

  EXPECT_THAT(AccessList(path_ / "file"), IsForThisUserAlone());
}

TEST_F(PrivateDirectoryWinTest, RefusesADirectoryThatOthersCanWriteAndNamesTheCure) {
  OpenOrCreate();
  AllowOthersToWrite(path_);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(path_); }, "icacls \"");
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { OpenOrCreate(); },
      "/inheritance:r /remove:g \"*S-1-1-0\" /grant:r \"*S-1-5-");
  RestrictToThisUser(path_);
  EXPECT_TRUE(PrivateDirectory::Open(path_));
}

TEST_F(PrivateDirectoryWinTest, RefusesADirectoryBelowOneThatOthersCanRenameAndNamesTheCure) {
  const fs::path above = scratch_ / "above";
  PrivateDirectory::OpenOrCreate(above / "between" / "keys");
  AllowOthersToWrite(above);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(above / "between" / "keys"); },
      "icacls \"" + Utf8FromPath(fs::path(above).make_preferred()) + "\" /remove:g \"*S-1-1-0\"`");
  ExpectError(ErrorCode::kStoreInsecure,
              [&] { PrivateDirectory::OpenOrCreate(above / "between" / "new"); });
  EXPECT_FALSE(fs::exists(above / "between" / "new"));
  RestrictToThisUser(above);
  EXPECT_TRUE(PrivateDirectory::Open(above / "between" / "keys"));
}

TEST_F(PrivateDirectoryWinTest, RefusesWhatOthersCanReadAndNamesTheCure) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  SetAccessList(path_ / "file", "D:P(A;;FA;;;ME)(A;;FR;;;WD)");
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { directory.Read("file"); },
      "can be read by other users (S-1-1-0)");
  SetAccessList(path_, "D:P(A;OICI;FA;;;ME)(A;OICI;FR;;;WD)");
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(path_); }, "/remove:g \"*S-1-1-0\"");
  RestrictToThisUser(path_);
}

TEST_F(PrivateDirectoryWinTest, RefusesAFileThatOthersCanWrite) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  AllowOthersToWrite(path_ / "file");

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "icacls \"");
}

TEST_F(PrivateDirectoryWinTest, IsNotCreatedByOpening) {
  EXPECT_FALSE(PrivateDirectory::Open(path_));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(PrivateDirectoryWinTest, SaysWhenAFileIsInItsPlace) {
  WriteFile(path_, "");

  ExpectError(ErrorCode::kStoreUnwritable, [&] { OpenOrCreate(); });
}

TEST_F(PrivateDirectoryWinTest, CannotBeRemovedOrReplacedWhileItIsOpen) {
  const PrivateDirectory directory = OpenOrCreate();

  EXPECT_FALSE(MoveFileW(path_.c_str(), (scratch_ / "moved").c_str()));
  EXPECT_FALSE(RemoveDirectoryW(path_.c_str()));
}

TEST_F(PrivateDirectoryWinTest, WorksWithANameOutsideEveryCodePage) {
  const fs::path path = scratch_.path() / L"Gr\u00f6\u00dfe \u9375";
  const PrivateDirectory directory = PrivateDirectory::OpenOrCreate(path);
  directory.WriteNew("file", "contents");

  EXPECT_EQ(PrivateDirectory::Open(path)->Read("file")->bytes, "contents");
}

TEST_F(PrivateDirectoryWinTest, WorksBeyondMaxPath) {
  fs::path path = path_;
  for (int i = 0; i < 8; ++i) path /= std::string(40, 'x');
  ASSERT_GT(path.native().size(), size_t{MAX_PATH});
  const PrivateDirectory directory = PrivateDirectory::OpenOrCreate(path);
  directory.WriteNew("file", "old");

  EXPECT_TRUE(UpdateTo(directory, "new", Soon()));
  EXPECT_EQ(directory.Read("file")->bytes, "new");
  EXPECT_THAT(directory.List(), ElementsAre("file"));
  EXPECT_TRUE(directory.Remove("file", Soon()));
}

TEST_F(PrivateDirectoryWinTest, AcceptsSlashesAndATrailingSeparator) {
  OpenOrCreate();

  EXPECT_TRUE(PrivateDirectory::Open(path_.generic_string() + "/"));
  EXPECT_TRUE(PrivateDirectory::Open(path_ / "." / ""));
}

TEST_F(PrivateDirectoryWinTest, ReadsWhatWasWritten) {
  const PrivateDirectory directory = OpenOrCreate();
  const std::string contents("with\0zero\r\n", 11);
  directory.WriteNew("file", contents);

  EXPECT_EQ(directory.Read("file")->bytes, contents);
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryWinTest, ReturnsNothingWithoutAFile) {
  const PrivateDirectory directory = OpenOrCreate();

  EXPECT_FALSE(directory.Read("file"));
  EXPECT_FALSE(directory.Stat("file"));
  EXPECT_FALSE(UpdateTo(directory, "contents", Soon()));
  EXPECT_FALSE(directory.Remove("file", Soon()));
}

TEST_F(PrivateDirectoryWinTest, NeverReplacesAFile) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "first");

  ExpectError(ErrorCode::kStoreUnwritable, [&] { directory.WriteNew("file", "second"); });
  EXPECT_EQ(ReadFile(path_ / "file"), "first");
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryWinTest, RefusesALongerFileThanItWrites) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(path_ / "file", std::string(PrivateDirectory::kMaxFileBytes + 1, 'x'));

  ExpectError(
      ErrorCode::kStoreCorrupt, [&] { directory.Read("file"); }, "1048576");
}

TEST_F(PrivateDirectoryWinTest, StampsAFileWithTheTimeSince1970) {
  const PrivateDirectory directory = OpenOrCreate();
  const int64_t before = std::time(nullptr);
  directory.WriteNew("file", "contents");

  EXPECT_NEAR(static_cast<double>(directory.Stat("file")->modified_ns / 1'000'000'000),
              static_cast<double>(before), 600);
  EXPECT_EQ(directory.Read("file")->stamp, *directory.Stat("file"));
}

TEST_F(PrivateDirectoryWinTest, ChangesTheStampWhenAFileIsReplaced) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  const FileStamp before = *directory.Stat("file");

  EXPECT_TRUE(UpdateTo(directory, "contents", Soon()));

  EXPECT_NE(*directory.Stat("file"), before);
}

TEST_F(PrivateDirectoryWinTest, StatsAFileByPathLikeThroughTheOpenDirectory) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");

  EXPECT_EQ(PrivateDirectory::StatByPath(path_, "file"), directory.Stat("file"));
  EXPECT_FALSE(PrivateDirectory::StatByPath(path_, "other"));
}

TEST_F(PrivateDirectoryWinTest, ShowsTheOldFileOrTheNewOneWhileItIsReplaced) {
  const PrivateDirectory directory = OpenOrCreate();
  const std::string contents[] = {std::string(2000, 'a'), std::string(2000, 'b')};
  directory.WriteNew("file", contents[0]);
  std::atomic<int> whole = 0;
  std::jthread reader([&](const std::stop_token& over) {
    while (!over.stop_requested()) {
      const auto file = directory.Read("file");
      if (file && (file->bytes == contents[0] || file->bytes == contents[1])) {
        ++whole;
      } else {
        ADD_FAILURE() << "the file was seen " << (file ? "in part" : "missing");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // lets the writer replace it
    }
  });
  for (int i = 0; i < 50 || whole == 0; ++i) UpdateTo(directory, contents[i % 2], Soon());
}

TEST_F(PrivateDirectoryWinTest, LosesNoUpdateToAnotherThread) {
  OpenOrCreate().WriteNew("file", "0");
  const auto count = [&] {
    const PrivateDirectory directory = *PrivateDirectory::Open(path_);
    for (int i = 0; i < 25; ++i) {
      directory.Update(
          "file", [](const std::string& text) { return std::to_string(std::stoi(text) + 1); },
          Soon());
    }
  };
  {
    const std::jthread thread(count);
    count();
  }

  EXPECT_EQ(ReadFile(path_ / "file"), "50");
}

TEST_F(PrivateDirectoryWinTest, ExcludesUpdatesAndRemovalsFromEachOther) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");

  directory.Update(
      "file",
      [&](const std::string&) {
        ExpectError(
            ErrorCode::kStoreUnwritable, [&] { UpdateTo(directory, "other", AtOnce()); },
            "another process has locked it");
        ExpectError(ErrorCode::kStoreUnwritable, [&] { directory.Remove("file", AtOnce()); });
        directory.WriteNew("other", "contents");
        EXPECT_EQ(directory.Read("file")->bytes, "old");
        return "new";
      },
      Soon());

  EXPECT_EQ(ReadFile(path_ / "file"), "new");
  EXPECT_TRUE(directory.Remove("file", AtOnce()));
  EXPECT_THAT(directory.List(), ElementsAre("other"));
}

TEST_F(PrivateDirectoryWinTest, DoesNotTouchAFileThatTheUpdateDoesNotChange) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");
  const FileStamp before = *directory.Stat("file");

  EXPECT_TRUE(directory.Update(
      "file", [](const std::string&) { return std::nullopt; }, Soon()));

  EXPECT_EQ(*directory.Stat("file"), before);
}

TEST_F(PrivateDirectoryWinTest, RemovesAnOpenFile) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  HANDLE scanner = CreateFileW((path_ / "file").c_str(), GENERIC_READ,
                               FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                               OPEN_EXISTING, 0, nullptr);
  ASSERT_NE(scanner, INVALID_HANDLE_VALUE);

  EXPECT_TRUE(directory.Remove("file", Soon()));

  CloseHandle(scanner);
  EXPECT_FALSE(directory.Read("file"));
}

TEST_F(PrivateDirectoryWinTest, ProvesThatItCanBeWrittenWithoutLeavingAFile) {
  OpenOrCreate().MakeFile();

  EXPECT_EQ(CountEntries(path_), 0u);
}

void SetAge(const fs::path& path, std::chrono::seconds age) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - age);
}

TEST_F(PrivateDirectoryWinTest, SweepsOnlyOldTemporaryFiles) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(path_ / ".tmp-1", "half a rec");
  SetAge(path_ / ".tmp-1", std::chrono::hours(1));
  WriteFile(path_ / ".tmp-2", "half a rec");

  EXPECT_THAT(directory.List(), IsEmpty());
  EXPECT_EQ(CountEntries(path_), 1u);
}

}  // namespace
}  // namespace device_key
