// Small files in a directory that belongs to this user alone.
#ifndef DEVICE_KEY_PLATFORM_PRIVATE_DIRECTORY_H_
#define DEVICE_KEY_PLATFORM_PRIVATE_DIRECTORY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/path_text.h"
#if defined(_WIN32)
#include "platform/unique_handle.h"
#else
#include "platform/unique_fd.h"
#endif

namespace device_key {

// What changes whenever a file is replaced or written to.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;  // since 1970
  int64_t changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

struct FileContents {
  std::string bytes;
  FileStamp stamp;
};

// An open file or directory.
#if defined(_WIN32)
using OsHandle = UniqueHandle;
#else
using OsHandle = UniqueFd;
#endif

// An open directory of small files. Opening it refuses, with `store_insecure`, one that another
// user owns or that the group or others can read or write, one that is reached through a symbolic
// link as its last component, and one below a directory in which another user could rename
// (ancestors.h); all further work goes through the open directory, so that a swapped
// path cannot redirect it. File names are single components. Threads and processes may share a
// directory; one object may be used by several threads.
//
// On Windows the mode is an access list, the group and others are everyone but this user, the
// system and the administrators, and nobody can rename or remove the directory while it is open.
// Paths may be longer than MAX_PATH.
//
// Everything throws `store_unwritable` for what the operating system refuses (disk full, read-only,
// no permission, I/O error), with its words.
class PrivateDirectory {
 public:
  static constexpr size_t kMaxFileBytes = 1 << 20;

  // nullopt when there is no such directory; it is not created.
  static std::optional<PrivateDirectory> Open(const std::filesystem::path& path);

  // Like Stat, but path-based; for cache validation only. Compare the stamp with that of a file
  // that was read before: a file that another process puts at the path has another stamp. It skips
  // most checks of Open, which take several times as long, and returns nullopt when there is no
  // such file or when the directory's type, owner or mode are not as Open demands. On Windows it
  // opens the directory, because an access list can be read from an open handle only.
  static std::optional<FileStamp> StatByPath(const std::filesystem::path& path,
                                             const std::string& name);

  // Creates the directory, and those above it, with mode 0700 when it is not there.
  static PrivateDirectory OpenOrCreate(const std::filesystem::path& path);

  PrivateDirectory(PrivateDirectory&& other) noexcept;
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory();

  // nullopt when there is no such file.
  std::optional<FileStamp> Stat(const std::string& name) const;

  // nullopt when there is no such file. Throws `store_insecure` for anything but a regular file of
  // this user's that nobody else can read or write (symbolic links are not followed), and
  // `store_corrupt` when it is longer than kMaxFileBytes.
  std::optional<FileContents> Read(const std::string& name) const;

  // An empty file under a temporary name. It shows that a file can be written before there is
  // anything to write, and is removed unless WriteNew renames it. WriteNew fills this file instead
  // of another one, because flushing the removal of a second file to the disk costs as much again.
  class NewFile;
  std::shared_ptr<NewFile> MakeFile() const;

  // Makes `file`, which is of this directory, the file `name` with mode 0600. When this returns it
  // is on the disk, complete; when it throws, there is no such file, and nobody has seen a part of
  // it at any time. Throws `store_unwritable` when there is a file of that name already.
  void WriteNew(NewFile& file, const std::string& name, std::string_view contents) const;
  void WriteNew(const std::string& name, std::string_view contents) const {
    WriteNew(*MakeFile(), name, contents);
  }

  // Update and Remove exclude each other, in other threads and processes too. They throw
  // `store_unwritable` when another one is not done by `deadline`; a process that dies lets go.
  using Deadline = std::chrono::steady_clock::time_point;

  // Replaces a file by what `change` makes of its contents, or leaves it when that is nullopt.
  // Readers see the old file or the new one. When it throws, the old one is still there, unless it
  // was only the directory that could not be flushed: then the new one is, until a power loss at
  // least. False when there is no such file.
  bool Update(const std::string& name,
              const std::function<std::optional<std::string>(const std::string&)>& change,
              Deadline deadline) const;

  // False when there is no such file. When it throws because the directory could not be flushed,
  // the file is gone, until a power loss at least.
  bool Remove(const std::string& name, Deadline deadline) const;

  // The names of the entries, sorted, without this class's temporary files. Removes those that are
  // older than ten minutes, as a process that died left them behind.
  std::vector<std::string> List() const;

 private:
  PrivateDirectory(std::filesystem::path path, OsHandle directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  OsHandle Lock(Deadline deadline) const;
  void Fill(NewFile& file, const std::string& name, std::string_view contents) const;
  std::string PathOf(const std::string& name) const { return Utf8FromPath(path_ / name); }

  std::filesystem::path path_;  // on POSIX for messages only, once open
  OsHandle directory_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_PRIVATE_DIRECTORY_H_
