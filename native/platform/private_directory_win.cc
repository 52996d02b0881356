#include "platform/windows_access.h"
// After <windows.h>.
#include <sddl.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "platform/ancestors.h"
#include "platform/error.h"
#include "platform/private_directory.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

constexpr char kTemporaryPrefix[] = ".tmp-";
constexpr char kLockName[] = ".tmp-lock";
constexpr uint64_t kStaleAfter = 600ULL * 10'000'000;  // in units of FILETIME, 100 ns
constexpr std::chrono::milliseconds kPause{5};

struct FindClosing {
  void operator()(void* find) const { FindClose(find); }
};
using ScopedFind = std::unique_ptr<void, FindClosing>;

[[noreturn]] void ThrowInsecure(const std::string& message) {
  throw DeviceKeyError(ErrorCode::kStoreInsecure, message);
}

// An absolute path with backslashes only, as \\?\ requires, and without a separator at the end.
fs::path Clean(const fs::path& path) {
  fs::path clean = fs::absolute(path).lexically_normal().make_preferred();
  while (clean.has_relative_path() && clean.filename().empty()) clean = clean.parent_path();
  return clean;
}

// Owned by this user, who has full access alone, without inherited entries ("P"). If no owner were
// given, Administrators would own what an elevated process creates.
class PrivateAccess {
 public:
  PrivateAccess() {
    const std::wstring user = SidText(CurrentUser().get());
    const std::wstring text = L"O:" + user + L"D:P(A;OICI;FA;;;" + user + L")";
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(text.c_str(), SDDL_REVISION_1,
                                                              &descriptor, nullptr)) {
      ThrowWindows("An access list for this user alone cannot be made", GetLastError());
    }
    descriptor_.reset(descriptor);
    attributes_ = {sizeof attributes_, descriptor, FALSE};
  }
  SECURITY_ATTRIBUTES* get() { return &attributes_; }

 private:
  LocalPtr<void> descriptor_;
  SECURITY_ATTRIBUTES attributes_;
};

enum class FileKind { kDirectory, kFile };

// Throws if another user owns it or could read or write it. The message begins with `what`.
void CheckPrivate(HANDLE file, FileKind kind, const std::string& what, const std::string& path) {
  const FileSecurity security = SecurityOf(file, what);
  PSID owner = security.owner;
  const Sid user = CurrentUser();
  if (owner == nullptr || (!EqualSid(owner, user.get()) && !IsSystem(owner))) {
    ThrowInsecure(what +
                  " belongs to another user: run as that user, or give it to this one with "
                  "`icacls \"" +
                  path + "\" /setowner \"" + IcaclsName(user.get()) + "\"`");
  }
  // `others` can be null.
  const auto cure = [&](PSID others) {
    return ": check what it holds, then run `icacls \"" + path + "\" /inheritance:r " +
           (others != nullptr ? "/remove:g \"" + IcaclsName(others) + "\" " : "") + "/grant:r \"" +
           IcaclsName(user.get()) + (kind == FileKind::kDirectory ? ":(OI)(CI)F\"`" : ":F\"`");
  };
  if (security.list == nullptr) {
    ThrowInsecure(what + " can be written by everyone" + cure(nullptr));
  }
  // For a directory, FILE_READ_DATA means FILE_LIST_DIRECTORY. Others may read attributes and
  // access lists.
  constexpr DWORD kReading = FILE_READ_DATA | FILE_READ_EA | GENERIC_READ;
  constexpr DWORD kWriting = FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA |
                             FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_WRITE |
                             GENERIC_ALL;
  for (const Grant& grant : GrantsOf(security.list, /*inherit_only=*/true)) {
    if ((grant.rights & (kWriting | kReading)) == 0 || EqualSid(grant.sid, user.get()) ||
        IsSystem(grant.sid)) {
      continue;
    }
    const bool written = (grant.rights & kWriting) != 0;
    ThrowInsecure(what + " can be " + (written ? "written" : "read") + " by other users (" +
                  Utf8FromWide(SidText(grant.sid)) + ")" + cure(grant.sid));
  }
}

bool IsMissing(DWORD error) {
  return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
}

// Not valid if there is no such directory. While it is open, nobody can rename or remove it (it is
// not shared for deletion) or its parents, so the path keeps its meaning.
UniqueHandle OpenChecked(const fs::path& path) {
  const std::string what = "the key store directory " + Utf8FromPath(path);
  UniqueHandle directory(CreateFileW(ExtendedPath(path).c_str(), FILE_LIST_DIRECTORY | READ_CONTROL,
                                     FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr, OPEN_EXISTING,
                                     FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT,
                                     nullptr));
  if (!directory.valid()) {
    const DWORD error = GetLastError();
    if (IsMissing(error)) return directory;
    ThrowWindows(what + " cannot be opened", error);
  }
  FILE_BASIC_INFO info{};
  if (!GetFileInformationByHandleEx(directory.get(), FileBasicInfo, &info, sizeof info)) {
    ThrowWindows(what + " cannot be read", GetLastError());
  }
  if (IsLink(directory.get())) {
    ThrowInsecure(what + " is a link, which is never followed: name the directory itself");
  }
  if ((info.FileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0) {
    ThrowWindows(what + " cannot be opened", ERROR_DIRECTORY);
  }
  CheckPrivate(directory.get(), FileKind::kDirectory, what, Utf8FromPath(path));
  // Checked after opening, because nobody can rename the directories above it from then on.
  CheckAncestors(path);
  return directory;
}

void MakeDirectories(const fs::path& path, PrivateAccess& access) {
  if (CreateDirectoryW(ExtendedPath(path).c_str(), access.get())) return;
  DWORD error = GetLastError();
  if (error == ERROR_ALREADY_EXISTS) return;  // opening it will find out what it is
  if (error == ERROR_PATH_NOT_FOUND && path.has_relative_path() && path.parent_path() != path) {
    MakeDirectories(path.parent_path(), access);
    if (CreateDirectoryW(ExtendedPath(path).c_str(), access.get())) return;
    error = GetLastError();
    if (error == ERROR_ALREADY_EXISTS) return;
  }
  ThrowWindows("the key store directory " + Utf8FromPath(path) + " cannot be created", error);
}

// Virus scanners and indexers open new files for a moment, and a deleted file remains until its
// last reader closes it.
bool IsTransient(DWORD error) {
  return error == ERROR_SHARING_VIOLATION || error == ERROR_ACCESS_DENIED ||
         error == ERROR_DELETE_PENDING || error == ERROR_LOCK_VIOLATION;
}

// Repeats `attempt` for up to a second while it returns a transient error.
template <class Attempt>
DWORD RetryForASecond(Attempt attempt) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  DWORD error = attempt();
  while (IsTransient(error) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kPause);
    error = attempt();
  }
  return error;
}

// Since 1970; a FILETIME counts 100 ns from 1601.
int64_t UnixNanoseconds(const LARGE_INTEGER& time) {
  constexpr int64_t kFrom1601To1970 = 116'444'736'000'000'000;
  return (time.QuadPart - kFrom1601To1970) * 100;
}

FileStamp StampOf(HANDLE file, const std::string& path) {
  BY_HANDLE_FILE_INFORMATION identity{};
  FILE_BASIC_INFO times{};
  if (!GetFileInformationByHandle(file, &identity) ||
      !GetFileInformationByHandleEx(file, FileBasicInfo, &times, sizeof times)) {
    ThrowWindows(path + " cannot be read", GetLastError());
  }
  return {
      .device = identity.dwVolumeSerialNumber,
      .inode = uint64_t{identity.nFileIndexHigh} << 32 | identity.nFileIndexLow,
      .size = static_cast<int64_t>(uint64_t{identity.nFileSizeHigh} << 32 | identity.nFileSizeLow),
      .modified_ns = UnixNanoseconds(times.LastWriteTime),
      .changed_ns = UnixNanoseconds(times.ChangeTime)};
}

// Not valid if there is no such file.
UniqueHandle OpenForReading(const fs::path& path, const std::string& name, DWORD access) {
  const std::wstring extended = ExtendedPath(path / WideFromUtf8(name));
  UniqueHandle file;
  const DWORD error = RetryForASecond([&] {
    file = UniqueHandle(CreateFileW(
        extended.c_str(), access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
        OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, nullptr));
    return file.valid() ? ERROR_SUCCESS : GetLastError();
  });
  if (IsMissing(error)) return {};
  if (error != ERROR_SUCCESS) {
    ThrowWindows(Utf8FromPath(path / WideFromUtf8(name)) + " cannot be opened", error);
  }
  return file;
}

}  // namespace

class PrivateDirectory::NewFile {
 public:
  explicit NewFile(const fs::path& directory) : directory_(directory) {
    PrivateAccess access;
    const uint64_t salt =
        (uint64_t{GetCurrentProcessId()} << 32 | GetCurrentThreadId()) ^ GetTickCount64() << 20;
    for (uint64_t i = 0; i < 100; ++i) {
      path_ = ExtendedPath(directory / WideFromUtf8(kTemporaryPrefix + std::to_string(salt + i)));
      file_ = UniqueHandle(CreateFileW(path_.c_str(), GENERIC_WRITE, 0, access.get(), CREATE_NEW,
                                       FILE_ATTRIBUTE_NORMAL, nullptr));
      if (file_.valid()) {
        error_ = ERROR_SUCCESS;
        return;
      }
      error_ = GetLastError();
      path_.clear();  // do not remove it, it is not ours
      if (error_ != ERROR_FILE_EXISTS) return;
    }
  }
  ~NewFile() {
    if (path_.empty()) return;
    file_ = UniqueHandle();
    RetryForASecond([&] { return DeleteFileW(path_.c_str()) ? ERROR_SUCCESS : GetLastError(); });
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // The last error, or ERROR_SUCCESS.
  DWORD error() const { return error_; }

  void Write(std::string_view contents) {
    DWORD written = 0;
    if (error_ != ERROR_SUCCESS) return;
    // Records are much shorter than the maximum of a DWORD.
    if (!WriteFile(file_.get(), contents.data(), static_cast<DWORD>(contents.size()), &written,
                   nullptr) ||
        !FlushFileBuffers(file_.get())) {
      error_ = GetLastError();
    } else if (written != contents.size()) {
      error_ = ERROR_WRITE_FAULT;  // GetLastError would return success
    }
  }
  void MoveTo(const std::string& name, DWORD flags) {
    if (error_ != ERROR_SUCCESS) return;
    file_ = UniqueHandle();
    const std::wstring target = ExtendedPath(directory_ / WideFromUtf8(name));
    error_ = RetryForASecond([&] {
      if (MoveFileExW(path_.c_str(), target.c_str(), flags | MOVEFILE_WRITE_THROUGH)) {
        return DWORD{ERROR_SUCCESS};
      }
      const DWORD error = GetLastError();
      // Wine sometimes returns this error while another thread opens the file that is replaced.
      const bool is_race =
          error == ERROR_ALREADY_EXISTS && (flags & MOVEFILE_REPLACE_EXISTING) != 0;
      return is_race ? DWORD{ERROR_SHARING_VIOLATION} : error;
    });
    if (error_ == ERROR_SUCCESS) path_.clear();
  }

 private:
  const fs::path directory_;
  std::wstring path_;
  UniqueHandle file_;
  DWORD error_ = ERROR_SUCCESS;
};

std::optional<PrivateDirectory> PrivateDirectory::Open(const fs::path& path) {
  const fs::path clean = Clean(path);
  UniqueHandle directory = OpenChecked(clean);
  if (!directory.valid()) return std::nullopt;
  return PrivateDirectory(clean, std::move(directory));
}

std::optional<FileStamp> PrivateDirectory::StatByPath(const fs::path& path,
                                                      const std::string& name) {
  const std::optional<PrivateDirectory> directory = Open(path);
  return directory ? directory->Stat(name) : std::nullopt;
}

PrivateDirectory PrivateDirectory::OpenOrCreate(const fs::path& path) {
  const fs::path clean = Clean(path);
  UniqueHandle directory = OpenChecked(clean);
  if (!directory.valid()) {
    CheckAncestors(clean);
    PrivateAccess access;
    MakeDirectories(clean, access);
    directory = OpenChecked(clean);
  }
  if (!directory.valid()) {
    ThrowWindows("the key store directory " + Utf8FromPath(clean) + " cannot be opened",
                 ERROR_PATH_NOT_FOUND);
  }
  return PrivateDirectory(clean, std::move(directory));
}

PrivateDirectory::PrivateDirectory(PrivateDirectory&&) noexcept = default;
PrivateDirectory::~PrivateDirectory() = default;

std::optional<FileStamp> PrivateDirectory::Stat(const std::string& name) const {
  const UniqueHandle file = OpenForReading(path_, name, FILE_READ_ATTRIBUTES);
  if (!file.valid()) return std::nullopt;
  return StampOf(file.get(), PathOf(name));
}

std::optional<FileContents> PrivateDirectory::Read(const std::string& name) const {
  const UniqueHandle file = OpenForReading(path_, name, GENERIC_READ | READ_CONTROL);
  if (!file.valid()) return std::nullopt;
  if (IsLink(file.get())) {
    ThrowInsecure(PathOf(name) + " is a link, which is never followed: remove it");
  }
  FILE_BASIC_INFO info{};
  if (GetFileType(file.get()) != FILE_TYPE_DISK ||
      !GetFileInformationByHandleEx(file.get(), FileBasicInfo, &info, sizeof info) ||
      (info.FileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
    ThrowInsecure(PathOf(name) + " is not a regular file: remove it");
  }
  CheckPrivate(file.get(), FileKind::kFile, PathOf(name), PathOf(name));

  // Reading one byte more than allowed detects a file that is too long.
  FileContents contents{.bytes = {}, .stamp = StampOf(file.get(), PathOf(name))};
  contents.bytes.resize(std::min<size_t>(static_cast<size_t>(contents.stamp.size), kMaxFileBytes) +
                        1);
  size_t length = 0;
  while (length < contents.bytes.size()) {
    DWORD count = 0;
    if (!ReadFile(file.get(), contents.bytes.data() + length,
                  static_cast<DWORD>(contents.bytes.size() - length), &count, nullptr)) {
      ThrowWindows(PathOf(name) + " cannot be read", GetLastError());
    }
    if (count == 0) break;
    length += count;
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
  auto file = std::make_shared<NewFile>(path_);
  if (file->error() != ERROR_SUCCESS) {
    ThrowWindows("the key store directory " + Utf8FromPath(path_) + " cannot be written to",
                 file->error());
  }
  return file;
}

void PrivateDirectory::WriteNew(NewFile& file, const std::string& name,
                                std::string_view contents) const {
  file.Write(contents);
  file.MoveTo(name, 0);
  if (file.error() != ERROR_SUCCESS)
    ThrowWindows(PathOf(name) + " cannot be written", file.error());
}

// Writes `file` and renames it to `name`, replacing an existing file.
void PrivateDirectory::Fill(NewFile& file, const std::string& name,
                            std::string_view contents) const {
  file.Write(contents);
  file.MoveTo(name, MOVEFILE_REPLACE_EXISTING);
  if (file.error() != ERROR_SUCCESS)
    ThrowWindows(PathOf(name) + " cannot be written", file.error());
}

// A file that only one process can have open at a time. Windows deletes it when that process closes
// it or dies.
OsHandle PrivateDirectory::Lock(Deadline deadline) const {
  const std::wstring path = ExtendedPath(path_ / WideFromUtf8(kLockName));
  const std::string failure =
      "the key store directory " + Utf8FromPath(path_) + " cannot be locked";
  PrivateAccess access;
  while (true) {
    UniqueHandle lock(CreateFileW(path.c_str(), GENERIC_WRITE | DELETE, 0, access.get(),
                                  OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, nullptr));
    if (lock.valid()) return lock;
    const DWORD error = GetLastError();
    if (IsMissing(error)) return {};
    if (!IsTransient(error)) ThrowWindows(failure, error);
    if (std::chrono::steady_clock::now() >= deadline) {
      throw DeviceKeyError(ErrorCode::kStoreUnwritable,
                           failure +
                               ": another process has locked it and does not let go, or this one "
                               "may not write to it. End the other and try again",
                           error);
    }
    std::this_thread::sleep_for(kPause);
  }
}

bool PrivateDirectory::Update(
    const std::string& name,
    const std::function<std::optional<std::string>(const std::string&)>& change,
    Deadline deadline) const {
  const UniqueHandle lock = Lock(deadline);
  if (!lock.valid()) return false;
  const std::optional<FileContents> current = Read(name);
  if (!current) return false;
  const std::optional<std::string> changed = change(current->bytes);
  if (changed) Fill(*MakeFile(), name, *changed);
  return true;
}

bool PrivateDirectory::Remove(const std::string& name, Deadline deadline) const {
  // Without the lock, a concurrent Update that has already read the file would write it again.
  const UniqueHandle lock = Lock(deadline);
  if (!lock.valid()) return false;
  const std::wstring path = ExtendedPath(path_ / WideFromUtf8(name));
  const DWORD error =
      RetryForASecond([&] { return DeleteFileW(path.c_str()) ? ERROR_SUCCESS : GetLastError(); });
  if (IsMissing(error)) return false;
  if (error != ERROR_SUCCESS) ThrowWindows(PathOf(name) + " cannot be removed", error);
  return true;
}

std::vector<std::string> PrivateDirectory::List() const {
  WIN32_FIND_DATAW found{};
  const HANDLE find = FindFirstFileW(ExtendedPath(path_ / L"*").c_str(), &found);
  if (find == INVALID_HANDLE_VALUE) {
    const DWORD error = GetLastError();
    if (IsMissing(error)) return {};
    ThrowWindows("the key store directory " + Utf8FromPath(path_) + " cannot be listed", error);
  }
  const ScopedFind scoped_find(find);
  FILETIME now;
  GetSystemTimeAsFileTime(&now);
  const auto ticks = [](const FILETIME& time) {
    return uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
  };
  std::vector<std::string> names;
  do {
    const std::string name = Utf8FromWide(found.cFileName);
    if (name.starts_with(kTemporaryPrefix)) {
      if (ticks(now) > ticks(found.ftLastWriteTime) + kStaleAfter) {
        DeleteFileW(ExtendedPath(path_ / found.cFileName).c_str());  // retried by the next listing
      }
    } else if (name != "." && name != "..") {
      names.push_back(name);
    }
  } while (FindNextFileW(find, &found));
  if (const DWORD error = GetLastError(); error != ERROR_NO_MORE_FILES) {
    ThrowWindows("the key store directory " + Utf8FromPath(path_) + " cannot be listed", error);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace device_key
