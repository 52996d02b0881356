// Small files in a directory that only this user can access.
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

// Changes whenever a file is replaced or written to.
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

// An open directory of small files. Opening it throws `store_insecure` if another user owns it, if
// the group or others can read or write it, if its last component is a symbolic link, or if another
// user could rename a directory above it (ancestors.h). All further operations use the open
// directory, so that replacing the path cannot redirect them. File names are single components.
// Several threads and processes may use one directory; several threads may use one object.
//
// On Windows an access list replaces the mode; "the group and others" means everyone but this user,
// the system and the administrators. The directory cannot be renamed or removed while it is open.
// Paths may be longer than MAX_PATH.
//
// All operations throw `store_unwritable` for errors of the operating system (disk full, read-only,
// no permission, I/O error), with the system's message.
class PrivateDirectory {
 public:
  static constexpr size_t kMaxFileBytes = 1 << 20;

  // nullopt if the directory does not exist. Does not create it.
  static std::optional<PrivateDirectory> Open(const std::filesystem::path& path);

  // Like Stat, but path-based; for cache validation only. Compare the stamp with that of a file
  // that was read before: if another process replaces the file, the stamp differs. Skips most
  // checks of Open, which take several times as long. Returns nullopt if there is no such file, or
  // if the directory's type, owner or mode are not what Open requires. On Windows it opens the
  // directory, because reading an access list needs an open handle.
  static std::optional<FileStamp> StatByPath(const std::filesystem::path& path,
                                             const std::string& name);

  // Creates the directory and its parents with mode 0700 if they do not exist.
  static PrivateDirectory OpenOrCreate(const std::filesystem::path& path);

  PrivateDirectory(PrivateDirectory&& other) noexcept;
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory();

  // nullopt if there is no such file.
  std::optional<FileStamp> Stat(const std::string& name) const;

  // nullopt if there is no such file. Throws `store_insecure` unless it is a regular file of this
  // user that no other user can read or write (symbolic links are not followed), and
  // `store_corrupt` if it is longer than kMaxFileBytes.
  std::optional<FileContents> Read(const std::string& name) const;

  // An empty file with a temporary name. It shows that a file can be written before the contents
  // exist. It is removed unless WriteNew renames it. WriteNew fills this file, because flushing the
  // removal of a second file to the disk costs as much again.
  class NewFile;
  std::shared_ptr<NewFile> MakeFile() const;

  // Writes `contents` to `file`, which is in this directory, and renames it to `name`; the mode is
  // 0600. When this returns, the file is complete and on the disk. When it throws, there is no such
  // file, and no reader has seen a part of it. Throws `store_unwritable` if a file with that name
  // exists.
  void WriteNew(NewFile& file, const std::string& name, std::string_view contents) const;
  void WriteNew(const std::string& name, std::string_view contents) const {
    WriteNew(*MakeFile(), name, contents);
  }

  // Update and Remove exclude each other, also across threads and processes. They throw
  // `store_unwritable` if another one does not finish by `deadline`. The lock of a process ends
  // with the process.
  using Deadline = std::chrono::steady_clock::time_point;

  // Replaces the contents of a file by the result of `change(contents)`; nullopt leaves the file
  // unchanged. Readers see either the old or the new file. When it throws, the old file is still
  // there, with one exception: if only flushing the directory failed, the new file is there, but a
  // power loss may undo that. False if there is no such file.
  bool Update(const std::string& name,
              const std::function<std::optional<std::string>(const std::string&)>& change,
              Deadline deadline) const;

  // False if there is no such file. When it throws because the directory could not be flushed, the
  // file is gone, but a power loss may undo that.
  bool Remove(const std::string& name, Deadline deadline) const;

  // The names of the entries, sorted, without this class's temporary files. Removes temporary files
  // that are older than ten minutes, which a dead process has left.
  std::vector<std::string> List() const;

 private:
  PrivateDirectory(std::filesystem::path path, OsHandle directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  OsHandle Lock(Deadline deadline) const;
  void Fill(NewFile& file, const std::string& name, std::string_view contents) const;
  std::string PathOf(const std::string& name) const { return Utf8FromPath(path_ / name); }

  std::filesystem::path path_;  // on POSIX only for messages, once open
  OsHandle directory_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_PRIVATE_DIRECTORY_H_
