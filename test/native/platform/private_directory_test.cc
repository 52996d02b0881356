#include "platform/private_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/xattr.h>
#endif
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>

#include "platform/expect_error.h"
#include "platform/file_faults.h"
#include "platform/temporary_directory.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::IsEmpty;

PrivateDirectory::Deadline Soon() { return steady_clock::now() + std::chrono::seconds(60); }
PrivateDirectory::Deadline AtOnce() { return steady_clock::now(); }

class PrivateDirectoryTest : public testing::Test {
 protected:
  PrivateDirectory OpenOrCreate() { return PrivateDirectory::OpenOrCreate(path_); }

  static bool UpdateTo(const PrivateDirectory& directory, const std::string& contents) {
    return directory.Update(
        "file", [&](const std::string&) { return contents; }, Soon());
  }

  // Needs root.
  void ChangeOwner(const fs::path& path) { ASSERT_EQ(lchown(path.c_str(), 12345, 12345), 0); }

  TemporaryDirectory scratch_;
  const fs::path path_ = scratch_ / "keys";
};

TEST_F(PrivateDirectoryTest, IsCreatedOnlyForItsUserTogetherWithItsParents) {
  PrivateDirectory::OpenOrCreate(scratch_ / "share" / "deeper" / "keys");

  EXPECT_EQ(ModeOf(scratch_ / "share"), 0700u);
  EXPECT_EQ(ModeOf(scratch_ / "share" / "deeper"), 0700u);
  EXPECT_EQ(ModeOf(scratch_ / "share" / "deeper" / "keys"), 0700u);
}

TEST_F(PrivateDirectoryTest, IsNotCreatedByOpening) {
  EXPECT_FALSE(PrivateDirectory::Open(path_));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryThatOthersCanReadUntilTheCureIsRun) {
  fs::create_directory(path_);
  for (const mode_t mode : {0755, 0740, 0710, 0704, 0701}) {
    chmod(path_.c_str(), mode);
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(path_); },
        "can be read by other users: check what it holds, then run `chmod go= '" + path_.string() +
            "'`");
  }
  chmod(path_.c_str(), 0700);

  EXPECT_TRUE(PrivateDirectory::Open(path_));
}

TEST_F(PrivateDirectoryTest, RefusesAFileThatOthersCanRead) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  for (const mode_t mode : {0640, 0604, 0610}) {
    chmod((path_ / "file").c_str(), mode);
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "chmod go= '");
  }
}

#if defined(__linux__)
// An access list that gives a named user `permissions` (acl(5); linux/posix_acl_xattr.h).
bool SetAccessListEntry(const fs::path& path, const char* list, uint16_t permissions) {
  struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
  };
  constexpr uint32_t kUndefinedId = 0xffffffff;
  struct {
    uint32_t version = 2;
    Entry entries[5];
  } acl;
  acl.entries[0] = {0x01, 7, kUndefinedId};            // the owner
  acl.entries[1] = {0x02, permissions, 12345};         // a user
  acl.entries[2] = {0x04, 0, kUndefinedId};            // the group
  acl.entries[3] = {0x10, permissions, kUndefinedId};  // the mask
  acl.entries[4] = {0x20, 0, kUndefinedId};            // others
  return setxattr(path.c_str(), list, &acl, sizeof acl, 0) == 0;
}

TEST_F(PrivateDirectoryTest, RefusesAnAccessListThatLetsANamedUserReadUntilTheCureIsRun) {
  OpenOrCreate().WriteNew("file", "contents");
  if (!SetAccessListEntry(path_, "system.posix_acl_access", 5)) GTEST_SKIP() << "no access lists";
  const std::string cure = "`setfacl -b '" + path_.string() + "' && chmod go= '";
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(path_); }, cure);

  removexattr(path_.c_str(), "system.posix_acl_access");  // as setfacl -b
  chmod(path_.c_str(), 0700);
  const std::optional<PrivateDirectory> directory = PrivateDirectory::Open(path_);
  SetAccessListEntry(path_ / "file", "system.posix_acl_access", 4);
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { directory->Read("file"); }, "setfacl -b '");
}

TEST_F(PrivateDirectoryTest, CanBeMadeBelowADirectoryWithADefaultAccessList) {
  if (!SetAccessListEntry(scratch_.path(), "system.posix_acl_default", 7)) {
    GTEST_SKIP() << "no access lists";
  }
  OpenOrCreate().WriteNew("file", "contents");

  EXPECT_EQ(PrivateDirectory::Open(path_)->Read("file")->bytes, "contents");
}
#endif

// Parent directories.

TEST_F(PrivateDirectoryTest, RefusesADirectoryAboveThatOthersCanWriteUntilTheCureIsRun) {
  const fs::path above = scratch_ / "above";
  fs::create_directories(above / "between");
  PrivateDirectory::OpenOrCreate(above / "between" / "keys");
  chmod(above.c_str(), 0777);

  for (const auto& open : {+[](const fs::path& path) { PrivateDirectory::Open(path); },
                           +[](const fs::path& path) { PrivateDirectory::OpenOrCreate(path); }}) {
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { open(above / "between" / "keys"); },
        "chmod go-w '" + above.string() + "'");
  }
  chmod(above.c_str(), 0755);
  EXPECT_TRUE(PrivateDirectory::Open(above / "between" / "keys"));
}

TEST_F(PrivateDirectoryTest, MakesNothingBelowADirectoryThatOthersCanWrite) {
  const fs::path above = scratch_ / "above";
  fs::create_directory(above);
  chmod(above.c_str(), 0777);

  ExpectError(ErrorCode::kStoreInsecure,
              [&] { PrivateDirectory::OpenOrCreate(above / "new" / "keys"); });
  EXPECT_EQ(CountEntries(above), 0u);
}

TEST_F(PrivateDirectoryTest, AcceptsADirectoryAboveWithTheStickyBit) {
  const fs::path above = scratch_ / "above";
  fs::create_directory(above);
  chmod(above.c_str(), 01777);

  PrivateDirectory::OpenOrCreate(above / "keys");
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryAboveThatAForeignGroupCanWrite) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a directory to a group";
  const fs::path above = scratch_ / "above";
  fs::create_directory(above);
  ASSERT_EQ(chown(above.c_str(), 0, 12345), 0);
  chmod(above.c_str(), 0775);
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::OpenOrCreate(above / "keys"); },
      "chmod go-w");

  ASSERT_EQ(chown(above.c_str(), 0, 0), 0);
  chmod(above.c_str(), 0775);  // root's own group
  PrivateDirectory::OpenOrCreate(above / "keys");
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryAboveThatBelongsToAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  const fs::path above = scratch_ / "above";
  fs::create_directory(above);
  ChangeOwner(above);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::OpenOrCreate(above / "keys"); },
      above.string() + ", which the path of the key store leads through, belongs to user 12345");
}

// If the path contains a symbolic link, the parents of its target are checked as well.
TEST_F(PrivateDirectoryTest, RefusesADirectoryThatOthersCanWriteBehindALinkAbove) {
  const fs::path open_to_all = scratch_ / "open";
  fs::create_directories(open_to_all / "real");
  fs::create_directory_symlink(open_to_all / "real", scratch_ / "absolute");
  fs::create_directory_symlink("open/../open/real", scratch_ / "relative");
  PrivateDirectory::OpenOrCreate(scratch_ / "absolute" / "keys");
  chmod(open_to_all.c_str(), 0777);

  for (const char* link : {"absolute", "relative"}) {
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(scratch_ / link / "keys"); },
        open_to_all.string());
  }
}

TEST_F(PrivateDirectoryTest, RefusesALinkAboveThatBelongsToAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  fs::create_directory(scratch_ / "real");
  fs::create_directory_symlink(scratch_ / "real", scratch_ / "link");
  ChangeOwner(scratch_ / "link");

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(scratch_ / "link" / "keys"); },
      "link, which");
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryThatItsGroupCanWrite) {
  fs::create_directory(path_);
  chmod(path_.c_str(), 0770);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(path_); },
      "chmod go= '" + path_.string() + "'");
  ExpectError(
      ErrorCode::kStoreInsecure, [&] { OpenOrCreate(); }, "chmod go=");
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryThatEveryoneCanWrite) {
  fs::create_directory(path_);
  chmod(path_.c_str(), 0702);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { OpenOrCreate(); }, "can be written by other users");
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryOfAnotherUser) {
  fs::path foreign = "/";  // root's, for every other user
  if (geteuid() == 0) {
    fs::create_directory(path_);
    ChangeOwner(path_);
    foreign = path_;
  }

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(foreign); },
      "runs as user " + std::to_string(geteuid()));
}

TEST_F(PrivateDirectoryTest, RefusesASymbolicLinkInItsPlace) {
  fs::create_directory(scratch_ / "elsewhere");
  fs::create_directory_symlink(scratch_ / "elsewhere", path_);

  for (const fs::path& spelling : {path_, path_ / "", path_ / ".", path_ / "." / ""}) {
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { PrivateDirectory::Open(spelling); }, "symbolic link");
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { PrivateDirectory::OpenOrCreate(spelling); },
        "symbolic link");
  }
}

TEST_F(PrivateDirectoryTest, DoesNotCreateWhatADanglingLinkPointsTo) {
  fs::create_directory_symlink(scratch_ / "elsewhere", path_);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { OpenOrCreate(); }, "symbolic link");
  EXPECT_FALSE(fs::exists(scratch_ / "elsewhere"));
}

TEST_F(PrivateDirectoryTest, FollowsLinksAboveIt) {
  fs::create_directory(scratch_ / "real");
  fs::create_directory_symlink(scratch_ / "real", scratch_ / "link");

  PrivateDirectory::OpenOrCreate(scratch_ / "link" / "keys");

  EXPECT_TRUE(fs::is_directory(scratch_ / "real" / "keys"));
}

TEST_F(PrivateDirectoryTest, SaysWhenAFileIsInItsPlace) {
  WriteFile(path_, "");

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { OpenOrCreate(); }, "Not a directory");
}

TEST_F(PrivateDirectoryTest, SaysWhenItCannotBeCreated) {
  WriteFile(scratch_ / "file", "");

  ExpectError(
      ErrorCode::kStoreUnwritable,
      [&] { PrivateDirectory::OpenOrCreate(scratch_ / "file" / "keys"); },
      (scratch_ / "file" / "keys").string());
}

TEST_F(PrivateDirectoryTest, ReadsWhatWasWritten) {
  const PrivateDirectory directory = OpenOrCreate();
  const std::string contents("with\0zero\n", 10);

  directory.WriteNew("file", contents);

  EXPECT_EQ(directory.Read("file")->bytes, contents);
  EXPECT_EQ(ModeOf(path_ / "file"), 0600u);
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryTest, ReturnsNothingWithoutAFile) {
  const PrivateDirectory directory = OpenOrCreate();

  EXPECT_FALSE(directory.Read("file"));
  EXPECT_FALSE(directory.Stat("file"));
  EXPECT_FALSE(directory.Remove("file", Soon()));
}

TEST_F(PrivateDirectoryTest, RemovesFiles) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");

  EXPECT_TRUE(directory.Remove("file", Soon()));
  EXPECT_FALSE(directory.Read("file"));
}

TEST_F(PrivateDirectoryTest, SaysThatAFileWasRemovedWhenOnlyTheDirectoryCouldNotBeFlushed) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  const ScopedFileFault fault(FileCall::kSync, 1, EIO);

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.Remove("file", Soon()); },
      "file was removed, but its directory cannot be flushed");
  EXPECT_FALSE(directory.Stat("file"));
}

TEST_F(PrivateDirectoryTest, NeverReplacesAFile) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "first");

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.WriteNew("file", "second"); }, "File exists");
  EXPECT_EQ(ReadFile(path_ / "file"), "first");
}

TEST_F(PrivateDirectoryTest, ChangesTheStampWhenAFileIsReplaced) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  const FileStamp before = *directory.Stat("file");
  EXPECT_EQ(directory.Read("file")->stamp, before);

  WriteFile(path_ / "other", "contents");
  fs::rename(path_ / "other", path_ / "file");

  EXPECT_NE(*directory.Stat("file"), before);
}

TEST_F(PrivateDirectoryTest, StatsAFileByPathLikeThroughTheOpenDirectory) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");

  for (const fs::path& spelling : {path_, path_ / "", path_ / ".", path_ / "." / ""}) {
    EXPECT_EQ(PrivateDirectory::StatByPath(spelling, "file"), directory.Stat("file")) << spelling;
  }
  EXPECT_FALSE(PrivateDirectory::StatByPath(path_, "other"));
  EXPECT_FALSE(PrivateDirectory::StatByPath(scratch_ / "elsewhere", "file"));
}

// Open throws the reason.
TEST_F(PrivateDirectoryTest, StatsNoFileByPathInADirectoryThatOpenRefuses) {
  OpenOrCreate().WriteNew("file", "contents");

  for (const mode_t mode : {0720, 0702, 0740, 0704, 0300, 0600}) {
    chmod(path_.c_str(), mode);
    EXPECT_FALSE(PrivateDirectory::StatByPath(path_, "file")) << std::oct << mode;
  }
  chmod(path_.c_str(), 0700);
  EXPECT_TRUE(PrivateDirectory::StatByPath(path_, "file"));
}

TEST_F(PrivateDirectoryTest, StatsNoFileByPathInADirectoryOfAnotherUser) {
  if (geteuid() != 0) {
    EXPECT_FALSE(PrivateDirectory::StatByPath("/", "etc"));
    return;
  }
  OpenOrCreate().WriteNew("file", "contents");
  ChangeOwner(path_);

  EXPECT_FALSE(PrivateDirectory::StatByPath(path_, "file"));
}

TEST_F(PrivateDirectoryTest, StatsNoFileByPathThroughASymbolicLink) {
  OpenOrCreate().WriteNew("file", "contents");
  fs::create_directory_symlink(path_, scratch_ / "link");
  const fs::path link = scratch_ / "link";

  for (const fs::path& spelling : {link, link / "", link / ".", link / "." / ""}) {
    EXPECT_FALSE(PrivateDirectory::StatByPath(spelling, "file")) << spelling;
  }
}

TEST_F(PrivateDirectoryTest, DoesNotReadThroughASymbolicLink) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(scratch_ / "secret", "secret");
  fs::create_symlink(scratch_ / "secret", path_ / "file");

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "symbolic link");
}

TEST_F(PrivateDirectoryTest, DoesNotWriteThroughASymbolicLink) {
  const PrivateDirectory directory = OpenOrCreate();
  fs::create_symlink(scratch_ / "target", path_ / "file");

  ExpectError(ErrorCode::kStoreUnwritable, [&] { directory.WriteNew("file", "contents"); });
  EXPECT_FALSE(fs::exists(scratch_ / "target"));
}

TEST_F(PrivateDirectoryTest, KeepsUsingTheDirectoryThatItOpened) {
  const PrivateDirectory directory = OpenOrCreate();
  fs::create_directory(scratch_ / "elsewhere");
  fs::rename(path_, scratch_ / "moved");
  fs::create_directory_symlink(scratch_ / "elsewhere", path_);

  directory.WriteNew("file", "contents");

  EXPECT_EQ(CountEntries(scratch_ / "elsewhere"), 0u);
  EXPECT_EQ(ReadFile(scratch_ / "moved" / "file"), "contents");
}

TEST_F(PrivateDirectoryTest, RefusesAFileThatOthersCanWrite) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  chmod((path_ / "file").c_str(), 0620);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "can be written by other users");
}

TEST_F(PrivateDirectoryTest, RefusesAFileOfAnotherUser) {
  if (geteuid() == 0) {
    const PrivateDirectory directory = OpenOrCreate();
    directory.WriteNew("file", "contents");
    ChangeOwner(path_ / "file");
    ExpectError(
        ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "belongs to user 12345");
  } else {
    // A hard link would be simpler, but Linux refuses hard links to other users' files
    // (protected_hardlinks), so such a file cannot get here that way.
    const PrivateDirectory directory = OpenOrCreate();
    std::error_code error;
    fs::create_hard_link("/etc/passwd", path_ / "file", error);
    if (error) {
      EXPECT_FALSE(directory.Read("file"));
    } else {
      ExpectError(
          ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "belongs to user 0");
    }
  }
}

TEST_F(PrivateDirectoryTest, DoesNotWaitForTheOtherEndOfAPipe) {
  const PrivateDirectory directory = OpenOrCreate();
  ASSERT_EQ(mkfifo((path_ / "file").c_str(), 0600), 0);

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { directory.Read("file"); }, "not a regular file");
}

TEST_F(PrivateDirectoryTest, ReadsAFileOfTheMaximumLength) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", std::string(PrivateDirectory::kMaxFileBytes, 'x'));

  EXPECT_EQ(directory.Read("file")->bytes.size(), PrivateDirectory::kMaxFileBytes);
}

TEST_F(PrivateDirectoryTest, RefusesALongerFile) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(path_ / "file", std::string(PrivateDirectory::kMaxFileBytes + 1, 'x'));

  ExpectError(
      ErrorCode::kStoreCorrupt, [&] { directory.Read("file"); }, "1048576");
}

TEST_F(PrivateDirectoryTest, ContinuesShortAndInterruptedWrites) {
  const PrivateDirectory directory = OpenOrCreate();
  {
    const ScopedShortWrites faults;
    directory.WriteNew("file", "contents");
    EXPECT_EQ(faults.interruptions(), 8);
  }
  EXPECT_EQ(ReadFile(path_ / "file"), "contents");
}

TEST_F(PrivateDirectoryTest, WritesNeitherOverNorThroughATemporaryFileOfTheSameName) {
  const PrivateDirectory directory = OpenOrCreate();
  {
    const ScopedFileFault fault(FileCall::kOpen, 1, EEXIST);  // as with O_EXCL, also for links
    directory.WriteNew("file", "contents");
    EXPECT_TRUE(fault.happened());
  }
  EXPECT_EQ(ReadFile(path_ / "file"), "contents");
  EXPECT_EQ(CountEntries(path_), 1u);
}

struct WriteFault {
  const char* name;
  FileCall call;
  int nth;
  int error;
  const char* message;
};

class PrivateDirectoryWriteFaultTest : public PrivateDirectoryTest,
                                       public testing::WithParamInterface<WriteFault> {};

TEST_P(PrivateDirectoryWriteFaultTest, LeavesNothingBehind) {
  const PrivateDirectory directory = OpenOrCreate();
  {
    const ScopedFileFault fault(GetParam().call, GetParam().nth, GetParam().error);
    ExpectError(
        ErrorCode::kStoreUnwritable, [&] { directory.WriteNew("file", "contents"); },
        GetParam().message);
    EXPECT_TRUE(fault.happened());
  }
  EXPECT_EQ(CountEntries(path_), 0u);

  directory.WriteNew("file", "contents");  // the next attempt succeeds
  EXPECT_EQ(ReadFile(path_ / "file"), "contents");
}

INSTANTIATE_TEST_SUITE_P(
    , PrivateDirectoryWriteFaultTest,
    testing::Values(WriteFault{"NoMoreFilesAllowed", FileCall::kOpen, 1, EDQUOT, "quota"},
                    WriteFault{"DiskFull", FileCall::kWrite, 1, ENOSPC, "No space left"},
                    WriteFault{"FileNotFlushed", FileCall::kSync, 1, EIO, "Input/output error"},
                    WriteFault{"NotRenamed", FileCall::kRename, 1, EROFS, "Read-only"},
                    WriteFault{"DirectoryNotFlushed", FileCall::kSync, 2, EIO,
                               "Input/output error"}),
    [](const auto& info) { return info.param.name; });

TEST_F(PrivateDirectoryTest, WritesWhereDirectoriesCannotBeFlushed) {
  const PrivateDirectory directory = OpenOrCreate();
  const ScopedFileFault fault(FileCall::kSync, 2, EINVAL);

  directory.WriteNew("file", "contents");

  EXPECT_TRUE(fault.happened());
  EXPECT_EQ(ReadFile(path_ / "file"), "contents");
}

TEST_F(PrivateDirectoryTest, LeavesNothingBehindWhenTheKernelStopsAWriteHalfway) {
  const PrivateDirectory directory = OpenOrCreate();
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{100, old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.WriteNew("file", std::string(1000, 'x')); },
      "File too large");

  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(CountEntries(path_), 0u);
}

TEST_F(PrivateDirectoryTest, SaysWhenItWasRemovedWhileOpen) {
  const PrivateDirectory directory = OpenOrCreate();
  fs::remove(path_);

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.WriteNew("file", "contents"); }, "No such file");
  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.MakeFile(); }, "No such file");
  EXPECT_FALSE(directory.Read("file"));
  EXPECT_FALSE(UpdateTo(directory, "contents"));
  EXPECT_FALSE(directory.Remove("file", Soon()));
  EXPECT_THAT(directory.List(), IsEmpty());
}

TEST_F(PrivateDirectoryTest, ProvesThatItCanBeWrittenWithoutLeavingAFile) {
  OpenOrCreate().MakeFile();

  EXPECT_EQ(CountEntries(path_), 0u);
}

TEST_F(PrivateDirectoryTest, WritesNewFilesIntoTheReservedFile) {
  const PrivateDirectory directory = OpenOrCreate();
  const auto file = directory.MakeFile();
  EXPECT_EQ(CountEntries(path_), 1u);
  EXPECT_THAT(directory.List(), IsEmpty());

  directory.WriteNew(*file, "file", "contents");

  EXPECT_EQ(directory.Read("file")->bytes, "contents");
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryTest, WritesNewFilesAlsoWhenTheReservedFileWasSwept) {
  const PrivateDirectory directory = OpenOrCreate();
  const auto file = directory.MakeFile();
  for (const auto& entry : fs::directory_iterator(path_)) fs::remove(entry);

  directory.WriteNew(*file, "file", "contents");

  EXPECT_EQ(directory.Read("file")->bytes, "contents");
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryTest, SaysWhenARemovalFails) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  const ScopedFileFault fault(FileCall::kUnlink, 1, EROFS);

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.Remove("file", Soon()); }, "Read-only");
}

// Updating a file.

TEST_F(PrivateDirectoryTest, UpdatesAFile) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "one");
  const FileStamp before = *directory.Stat("file");

  EXPECT_TRUE(directory.Update(
      "file", [](const std::string& contents) { return contents + ", two"; }, Soon()));

  EXPECT_EQ(directory.Read("file")->bytes, "one, two");
  EXPECT_NE(*directory.Stat("file"), before);
  EXPECT_EQ(ModeOf(path_ / "file"), 0600u);
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryTest, DoesNotTouchAFileThatTheUpdateDoesNotChange) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "contents");
  const FileStamp before = *directory.Stat("file");

  EXPECT_TRUE(directory.Update(
      "file", [](const std::string&) { return std::nullopt; }, Soon()));

  EXPECT_EQ(*directory.Stat("file"), before);
}

TEST_F(PrivateDirectoryTest, UpdatesNoMissingFile) {
  const PrivateDirectory directory = OpenOrCreate();

  EXPECT_FALSE(UpdateTo(directory, "contents"));
  EXPECT_EQ(CountEntries(path_), 0u);
}

TEST_F(PrivateDirectoryTest, DoesNotUpdateThroughASymbolicLink) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(scratch_ / "precious", "precious");
  fs::create_symlink(scratch_ / "precious", path_ / "file");

  ExpectError(
      ErrorCode::kStoreInsecure, [&] { UpdateTo(directory, "contents"); }, "symbolic link");
  EXPECT_EQ(ReadFile(scratch_ / "precious"), "precious");
}

TEST_F(PrivateDirectoryTest, KeepsTheFileWhenTheUpdateThrows) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");
  const auto fail = [](const std::string&) -> std::optional<std::string> {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt, "no good");
  };

  ExpectError(ErrorCode::kStoreCorrupt, [&] { directory.Update("file", fail, Soon()); });
  EXPECT_EQ(ReadFile(path_ / "file"), "old");
  EXPECT_TRUE(UpdateTo(directory, "new"));  // and it is no longer locked
}

class PrivateDirectoryUpdateFaultTest : public PrivateDirectoryTest,
                                        public testing::WithParamInterface<WriteFault> {};

TEST_P(PrivateDirectoryUpdateFaultTest, KeepsTheOldFile) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");
  {
    const ScopedFileFault fault(GetParam().call, GetParam().nth, GetParam().error);
    ExpectError(
        ErrorCode::kStoreUnwritable, [&] { UpdateTo(directory, "new"); }, GetParam().message);
    EXPECT_TRUE(fault.happened());
  }
  EXPECT_EQ(ReadFile(path_ / "file"), "old");
  EXPECT_EQ(CountEntries(path_), 1u);

  EXPECT_TRUE(UpdateTo(directory, "new"));
}

INSTANTIATE_TEST_SUITE_P(
    , PrivateDirectoryUpdateFaultTest,
    testing::Values(WriteFault{"NotOpenedToLock", FileCall::kOpen, 1, EMFILE, "cannot be locked"},
                    WriteFault{"NotReadable", FileCall::kOpen, 2, EIO, "cannot be opened"},
                    WriteFault{"NoMoreFilesAllowed", FileCall::kOpen, 3, EDQUOT, "quota"},
                    WriteFault{"DiskFull", FileCall::kWrite, 1, ENOSPC, "No space left"},
                    WriteFault{"FileNotFlushed", FileCall::kSync, 1, EIO, "Input/output error"},
                    WriteFault{"NotRenamed", FileCall::kRename, 1, EROFS, "Read-only"}),
    [](const auto& info) { return info.param.name; });

TEST_F(PrivateDirectoryTest, HasTheNewFileWhenOnlyTheDirectoryCouldNotBeFlushed) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");
  const ScopedFileFault fault(FileCall::kSync, 2, EIO);

  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { UpdateTo(directory, "new"); }, "power loss may undo");
  EXPECT_EQ(ReadFile(path_ / "file"), "new");
}

TEST_F(PrivateDirectoryTest, LosesNoUpdateToAnotherProcessOrThread) {
  OpenOrCreate().WriteNew("file", "0");
  const auto count = [&] {
    const PrivateDirectory directory = *PrivateDirectory::Open(path_);
    for (int i = 0; i < 25; ++i) {
      directory.Update(
          "file",
          [](const std::string& contents) { return std::to_string(std::stoi(contents) + 1); },
          Soon());
    }
  };
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    count();
    _exit(0);
  }
  std::thread thread(count);
  count();
  thread.join();
  ASSERT_EQ(waitpid(child, nullptr, 0), child);

  EXPECT_EQ(ReadFile(path_ / "file"), "75");
}

// Without the lock, the update would write the removed file again.
TEST_F(PrivateDirectoryTest, RemovesNoFileThatIsBeingUpdated) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");

  directory.Update(
      "file",
      [&](const std::string&) {
        ExpectError(ErrorCode::kStoreUnwritable, [&] { directory.Remove("file", AtOnce()); });
        return "new";
      },
      Soon());

  EXPECT_EQ(ReadFile(path_ / "file"), "new");
  EXPECT_TRUE(directory.Remove("file", Soon()));
}

TEST_F(PrivateDirectoryTest, CanBeReadAndWrittenWhileItIsLocked) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");

  directory.Update(
      "file",
      [&](const std::string&) {
        directory.WriteNew("other", "contents");
        EXPECT_EQ(directory.Read("file")->bytes, "old");
        return "new";
      },
      Soon());

  EXPECT_THAT(directory.List(), ElementsAre("file", "other"));
}

// Any process with read access to a directory can lock it.
TEST_F(PrivateDirectoryTest, DoesNotWaitForeverForALock) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");
  const UniqueFd foreign(open(path_.c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(flock(foreign.get(), LOCK_EX), 0);

  ExpectError(
      ErrorCode::kStoreUnwritable,
      [&] {
        directory.Update(
            "file", [](const std::string&) { return "new"; }, AtOnce());
      },
      "lslocks");
  ExpectError(
      ErrorCode::kStoreUnwritable, [&] { directory.Remove("file", AtOnce()); }, "lslocks");
  EXPECT_EQ(ReadFile(path_ / "file"), "old");
}

TEST_F(PrivateDirectoryTest, IsNotLockedByAProcessThatWasKilled) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("file", "old");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    directory.Update(
        "file",
        [](const std::string&) {
          raise(SIGKILL);
          return "new";
        },
        Soon());
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));

  EXPECT_TRUE(directory.Update(
      "file", [](const std::string& contents) { return contents + " and new"; }, AtOnce()));
  EXPECT_EQ(ReadFile(path_ / "file"), "old and new");
}

TEST_F(PrivateDirectoryTest, ListsNamesInOrder) {
  const PrivateDirectory directory = OpenOrCreate();
  directory.WriteNew("b", "");
  directory.WriteNew("a", "");
  directory.WriteNew(".hidden", "");

  EXPECT_THAT(directory.List(), ElementsAre(".hidden", "a", "b"));
  EXPECT_THAT(directory.List(), ElementsAre(".hidden", "a", "b"));
}

void SetAge(const fs::path& path, time_t seconds) {
  const time_t then = std::time(nullptr) - seconds;
  const timespec times[2] = {{then, 0}, {then, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

TEST_F(PrivateDirectoryTest, SweepsOldTemporaryFiles) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(path_ / ".tmp-0123456789abcdef", "half a rec");
  SetAge(path_ / ".tmp-0123456789abcdef", 3600);

  EXPECT_THAT(directory.List(), IsEmpty());
  EXPECT_EQ(CountEntries(path_), 0u);
}

TEST_F(PrivateDirectoryTest, KeepsRecentTemporaryFiles) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(path_ / ".tmp-0123456789abcdef", "half a rec");
  SetAge(path_ / ".tmp-0123456789abcdef", 60);

  EXPECT_THAT(directory.List(), IsEmpty());
  EXPECT_EQ(CountEntries(path_), 1u);
}

TEST_F(PrivateDirectoryTest, SweepsALinkButNotItsTarget) {
  const PrivateDirectory directory = OpenOrCreate();
  WriteFile(scratch_ / "precious", "precious");
  SetAge(scratch_ / "precious", 3600);
  fs::create_symlink(scratch_ / "precious", path_ / ".tmp-0123456789abcdef");
  SetAge(path_ / ".tmp-0123456789abcdef", 3600);

  directory.List();

  EXPECT_EQ(CountEntries(path_), 0u);
  EXPECT_EQ(ReadFile(scratch_ / "precious"), "precious");
}

TEST_F(PrivateDirectoryTest, IsNotInheritedByChildren) {
  const PrivateDirectory directory = OpenOrCreate();
  size_t open_to_directory = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (fs::read_symlink(entry.path(), error) != path_) continue;
    ++open_to_directory;
    EXPECT_NE(fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(open_to_directory, 1u);
}

}  // namespace
}  // namespace device_key
