#include "platform/private_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>
#include <random>
#include <system_error>
#include <thread>

#include "platform/ancestors.h"
#include "platform/error.h"
#include "platform/extended_acl.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

constexpr char kTemporaryPrefix[] = ".tmp-";
constexpr time_t kStaleAfterSeconds = 600;
#ifdef __APPLE__
constexpr char kFindsLocks[] = "lsof";
#else
constexpr char kFindsLocks[] = "lslocks";
#endif

// Repeats `call` while a signal interrupts it.
template <class Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

[[noreturn]] void ThrowErrno(const std::string& what, int error) {
  throw DeviceKeyError(ErrorCode::kStoreUnwritable,
                       what + ": " + std::generic_category().message(error),
                       static_cast<uint32_t>(error));
}

[[noreturn]] void ThrowInsecure(const std::string& message) {
  throw DeviceKeyError(ErrorCode::kStoreInsecure, message);
}

// Throws if another user owns the open `fd` or could read or write it. `status` is that of `fd`;
// the message begins with `what`.
void CheckPrivate(int fd, const struct stat& status, const std::string& what,
                  const std::string& path) {
  if (status.st_uid != geteuid()) {
    ThrowInsecure(what + " belongs to user " + std::to_string(status.st_uid) +
                  ", but this process runs as user " + std::to_string(geteuid()) +
                  ": run as that user, or give it to this one with `chown " +
                  std::to_string(geteuid()) + " '" + path + "'`");
  }
  CheckExtendedAcl(fd, what, path);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    const bool written = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    ThrowInsecure(what + " can be " + (written ? "written" : "read") +
                  " by other users: check what it holds, then run `chmod go= '" + path + "'`");
  }
}

// A trailing "/" or "/." would make the kernel follow a symbolic link in spite of O_NOFOLLOW.
fs::path WithoutTrailingSeparator(fs::path path) {
  path = fs::absolute(path);
  while (path.has_relative_path() && (path.filename().empty() || path.filename() == ".")) {
    path = path.parent_path();
  }
  return path;
}

bool IsSymlink(const fs::path& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

// An invalid descriptor when there is no such directory.
UniqueFd OpenChecked(const fs::path& path) {
  CheckAncestors(path);
  const std::string what = "the key store directory " + path.string();
  UniqueFd fd(
      Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
  if (!fd.valid()) {
    const int error = errno;
    if (error == ENOENT) return fd;
    // With O_DIRECTORY, Linux returns ENOTDIR, not ELOOP, for a link.
    if ((error == ELOOP || error == ENOTDIR) && IsSymlink(path)) {
      ThrowInsecure(what +
                    " is a symbolic link, which is never followed: name the directory itself");
    }
    ThrowErrno(what + " cannot be opened", error);
  }
  struct stat status;
  if (fstat(fd.get(), &status) != 0) ThrowErrno(what + " cannot be read", errno);
  CheckPrivate(fd.get(), status, what, path.string());
  return fd;
}

int SyncFile(int fd) {
#ifdef __APPLE__
  // On macOS fsync only passes the data to the drive; F_FULLFSYNC makes it permanent (fsync(2)).
  if (Retry([&] { return fcntl(fd, F_FULLFSYNC); }) == 0) return 0;
#endif
  return Retry([&] { return fsync(fd); });
}

// Some file systems (FUSE, SMB) cannot flush directories and return EINVAL. There a rename cannot
// be made more durable.
bool SyncDirectory(int fd) { return SyncFile(fd) == 0 || errno == EINVAL; }

// Creates `path` and its missing parents. The XDG Base Directory Specification also requires mode
// 0700 for a new data directory.
void MakeDirectories(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return;  // opening it will find out what it is
    if (errno != ENOENT || !path.has_relative_path()) {
      ThrowErrno("the key store directory " + path.string() + " cannot be created", errno);
    }
    MakeDirectories(path.parent_path());
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      ThrowErrno("the key store directory " + path.string() + " cannot be created", errno);
    }
  }
  // Best effort: this user may not be allowed to open the parent. A durable record is worth nothing
  // without a durable directory.
  const UniqueFd parent(
      Retry([&] { return open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (parent.valid()) SyncDirectory(parent.get());
}

FileStamp StampOf(const struct stat& status) {
  constexpr int64_t kNanoseconds = 1'000'000'000;
#ifdef __APPLE__
  const timespec& modified = status.st_mtimespec;
  const timespec& changed = status.st_ctimespec;
#else
  const timespec& modified = status.st_mtim;
  const timespec& changed = status.st_ctim;
#endif
  return {.device = static_cast<uint64_t>(status.st_dev),
          .inode = static_cast<uint64_t>(status.st_ino),
          .size = status.st_size,
          .modified_ns = modified.tv_sec * kNanoseconds + modified.tv_nsec,
          .changed_ns = changed.tv_sec * kNanoseconds + changed.tv_nsec};
}

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, DirectoryCloser>;

}  // namespace

class PrivateDirectory::NewFile {
 public:
  explicit NewFile(int directory_fd) : directory_fd_(directory_fd) {
    // O_EXCL makes this safe; random names make a second attempt very unlikely.
    std::random_device random;
    do {
      char suffix[17];
      std::snprintf(suffix, sizeof suffix, "%08x%08x", random(), random());
      name_ = std::string(kTemporaryPrefix) + suffix;
      fd_ = UniqueFd(Retry([&] {
        return openat(directory_fd_, name_.c_str(),
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
      }));
    } while (!fd_.valid() && errno == EEXIST);
  }
  ~NewFile() {
    if (fd_.valid() && !name_.empty()) unlinkat(directory_fd_, name_.c_str(), 0);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // These return false and set errno.
  bool valid() const { return fd_.valid(); }
  bool Write(std::string_view contents) {
    while (!contents.empty()) {
      const ssize_t written =
          Retry([&] { return write(fd_.get(), contents.data(), contents.size()); });
      if (written < 0) return false;
      contents.remove_prefix(static_cast<size_t>(written));
    }
    return true;
  }
  bool Sync() { return SyncFile(fd_.get()) == 0; }
  bool RenameTo(const std::string& name) {
    if (renameat(directory_fd_, name_.c_str(), directory_fd_, name.c_str()) != 0) return false;
    name_.clear();
    return true;
  }

 private:
  int directory_fd_;
  std::string name_;
  UniqueFd fd_;
};

std::optional<PrivateDirectory> PrivateDirectory::Open(const fs::path& path) {
  const fs::path clean = WithoutTrailingSeparator(path);
  UniqueFd fd = OpenChecked(clean);
  if (!fd.valid()) return std::nullopt;
  return PrivateDirectory(clean, std::move(fd));
}

std::optional<FileStamp> PrivateDirectory::StatByPath(const fs::path& path,
                                                      const std::string& name) {
  std::string text = path.native();
  // As in WithoutTrailingSeparator.
  while (text.size() > 1 && (text.ends_with('/') || text.ends_with("/."))) text.pop_back();
  struct stat status;
  constexpr mode_t kOurs = S_IRUSR | S_IXUSR;  // Open and Stat may need these
  if (lstat(text.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
      (status.st_mode & (kOurs | S_IRWXG | S_IRWXO)) != kOurs || status.st_uid != geteuid()) {
    return std::nullopt;
  }
  text.append(1, '/').append(name);
  if (lstat(text.c_str(), &status) != 0) return std::nullopt;
  return StampOf(status);
}

PrivateDirectory PrivateDirectory::OpenOrCreate(const fs::path& path) {
  const fs::path clean = WithoutTrailingSeparator(path);
  UniqueFd fd = OpenChecked(clean);
  if (!fd.valid()) {
    MakeDirectories(clean);
    fd = OpenChecked(clean);
  }
  if (!fd.valid()) {
    ThrowErrno("the key store directory " + clean.string() + " cannot be opened", ENOENT);
  }
  return PrivateDirectory(clean, std::move(fd));
}

PrivateDirectory::PrivateDirectory(PrivateDirectory&&) noexcept = default;
PrivateDirectory::~PrivateDirectory() = default;

std::optional<FileStamp> PrivateDirectory::Stat(const std::string& name) const {
  struct stat status;
  if (fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    ThrowErrno(PathOf(name) + " cannot be read", errno);
  }
  return StampOf(status);
}

std::optional<FileContents> PrivateDirectory::Read(const std::string& name) const {
  // O_NONBLOCK, because opening a FIFO would otherwise wait for its other end.
  const UniqueFd fd(Retry([&] {
    return openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  }));
  if (!fd.valid()) {
    if (errno == ENOENT) return std::nullopt;
    if (errno == ELOOP) {
      ThrowInsecure(PathOf(name) + " is a symbolic link, which is never followed: remove it");
    }
    ThrowErrno(PathOf(name) + " cannot be opened", errno);
  }
  struct stat status;
  if (fstat(fd.get(), &status) != 0) ThrowErrno(PathOf(name) + " cannot be read", errno);
  if (!S_ISREG(status.st_mode)) ThrowInsecure(PathOf(name) + " is not a regular file: remove it");
  CheckPrivate(fd.get(), status, PathOf(name), PathOf(name));

  // Reading one byte more than allowed detects a file that is too long, also if it has grown since
  // fstat.
  FileContents contents{.bytes = {}, .stamp = StampOf(status)};
  contents.bytes.resize(std::min<size_t>(static_cast<size_t>(status.st_size), kMaxFileBytes) + 1);
  size_t length = 0;
  while (length < contents.bytes.size()) {
    const ssize_t count = Retry([&] {
      return read(fd.get(), contents.bytes.data() + length, contents.bytes.size() - length);
    });
    if (count < 0) ThrowErrno(PathOf(name) + " cannot be read", errno);
    if (count == 0) break;
    length += static_cast<size_t>(count);
  }
  if (length > kMaxFileBytes) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt, PathOf(name) + " is longer than " +
                                                       std::to_string(kMaxFileBytes) +
                                                       " bytes, so it is not a key record");
  }
  contents.bytes.resize(length);
  return contents;
}

std::shared_ptr<PrivateDirectory::NewFile> PrivateDirectory::MakeFile() const {
  auto file = std::make_shared<NewFile>(directory_.get());
  if (!file->valid()) {
    ThrowErrno("the key store directory " + path_.string() + " cannot be written to", errno);
  }
  return file;
}

void PrivateDirectory::WriteNew(NewFile& file, const std::string& name,
                                std::string_view contents) const {
  const std::string failure = PathOf(name) + " cannot be written";
  // Without this check, rename would replace the file. Two writers of one name can both pass the
  // check. Names are random, so it guards against a mistake, not against a race.
  if (Stat(name)) ThrowErrno(failure, EEXIST);
  Fill(file, name, contents);
  if (!SyncDirectory(directory_.get())) {
    const int error = errno;
    unlinkat(directory_.get(), name.c_str(), 0);
    ThrowErrno(failure, error);
  }
}

// Writes `file` and renames it to `name`, replacing an existing file.
void PrivateDirectory::Fill(NewFile& file, const std::string& name,
                            std::string_view contents) const {
  const auto fill = [&](NewFile& empty) {
    return empty.valid() && empty.Write(contents) && empty.Sync() && empty.RenameTo(name);
  };
  if (fill(file)) return;
  if (errno == ENOENT) {  // List has removed the file, which waited for more than ten minutes
    NewFile another(directory_.get());
    if (fill(another)) return;
  }
  ThrowErrno(PathOf(name) + " cannot be written", errno);
}

// The lock is held until the descriptor is closed. Returns an invalid descriptor if the directory
// has been removed. Locking the directory itself leaves no lock file behind. The lock belongs to
// the open file description, so each call opens the directory again to exclude other threads too.
//
// Any process with read access to the directory can lock it for any time, hence the deadline.
UniqueFd PrivateDirectory::Lock(Deadline deadline) const {
  constexpr std::chrono::milliseconds kPause{5};
  const std::string failure = "the key store directory " + path_.string() + " cannot be locked";
  UniqueFd lock(
      Retry([&] { return openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!lock.valid()) {
    if (errno == ENOENT) return lock;
    ThrowErrno(failure, errno);
  }
  while (Retry([&] { return flock(lock.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) ThrowErrno(failure, errno);
    if (std::chrono::steady_clock::now() >= deadline) {
      throw DeviceKeyError(
          ErrorCode::kStoreUnwritable,
          failure + ": another process has locked it and does not let go. Find it with `" +
              kFindsLocks + "`, end it and try again");
    }
    std::this_thread::sleep_for(kPause);
  }
  return lock;
}

bool PrivateDirectory::Update(
    const std::string& name,
    const std::function<std::optional<std::string>(const std::string&)>& change,
    Deadline deadline) const {
  const UniqueFd lock = Lock(deadline);
  if (!lock.valid()) return false;
  const std::optional<FileContents> current = Read(name);
  if (!current) return false;
  const std::optional<std::string> changed = change(current->bytes);
  if (!changed) return true;
  Fill(*MakeFile(), name, *changed);
  if (!SyncDirectory(directory_.get()))
    ThrowErrno(PathOf(name) + " was written, but a power loss may undo that", errno);
  return true;
}

bool PrivateDirectory::Remove(const std::string& name, Deadline deadline) const {
  // Without the lock, a concurrent Update that has already read the file would write it again.
  const UniqueFd lock = Lock(deadline);
  if (!lock.valid()) return false;
  if (unlinkat(directory_.get(), name.c_str(), 0) != 0) {
    if (errno == ENOENT) return false;
    ThrowErrno(PathOf(name) + " cannot be removed", errno);
  }
  if (!SyncDirectory(directory_.get()))
    ThrowErrno(PathOf(name) +
                   " was removed, but its directory cannot be flushed to the disk, so a power "
                   "loss may bring it back",
               errno);
  return true;
}

std::vector<std::string> PrivateDirectory::List() const {
  const std::string failure = "the key store directory " + path_.string() + " cannot be listed";
  // A separate descriptor, because the position in a directory belongs to the open file
  // description.
  UniqueFd fd(
      Retry([&] { return openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) {
    if (errno == ENOENT) return {};  // removed since it was opened
    ThrowErrno(failure, errno);
  }
  const DirectoryStream stream(fdopendir(fd.get()));
  if (stream == nullptr) ThrowErrno(failure, errno);
  fd.Release();

  std::vector<std::string> names;
  errno = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread has this stream
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name.starts_with(kTemporaryPrefix)) {
      struct stat status;
      if (fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          std::time(nullptr) - status.st_mtime > kStaleAfterSeconds) {
        unlinkat(directory_.get(), name.c_str(), 0);  // on failure the next listing tries again
      }
    } else if (name != "." && name != "..") {
      names.push_back(name);
    }
    errno = 0;
  }
  if (errno != 0) ThrowErrno(failure, errno);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace device_key
