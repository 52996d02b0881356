#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/xattr.h>
#endif

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "platform/ancestors.h"
#include "platform/error.h"
#include "platform/text_file.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void RefuseAncestor(const fs::path& path, const std::string& reason,
                                 const std::string& cure) {
  throw DeviceKeyError(ErrorCode::kStoreInsecure,
                       path.string() + ", which the path of the key store leads through, " +
                           reason + ", who could put another store in its place: " + cure);
}

#if defined(__linux__)
std::vector<uint64_t> NumbersIn(const fs::path& file) {
  const std::string text = ReadTextFile(file);
  std::vector<uint64_t> numbers;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc()) numbers.push_back(number);
    at = error == std::errc() ? next : at + 1;
  }
  return numbers;
}

// Whether `id` is the id that the kernel shows for unmapped owners in this user namespace
// (user_namespaces(7), "Unmapped user and group IDs").
bool IsUnmappedOwner(uid_t id) {
  const std::vector<uint64_t> overflow = NumbersIn("/proc/sys/kernel/overflowuid");
  if (overflow.empty() || id != overflow.front()) return false;
  // Three in a row: the first id here, the first id outside, and how many.
  const std::vector<uint64_t> map = NumbersIn("/proc/self/uid_map");
  for (size_t at = 0; at + 2 < map.size(); at += 3) {
    if (id >= map[at] && id - map[at] < map[at + 2]) return false;
  }
  return !map.empty();
}

bool HasAccessList(const fs::path& path) {
  return lgetxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
}
#else
bool IsUnmappedOwner(uid_t) { return false; }
bool HasAccessList(const fs::path&) { return false; }  // its access list is not in the mode bits
#endif

bool IsTrustedOwner(uid_t owner) {
  return owner == 0 || owner == geteuid() || IsUnmappedOwner(owner);
}

bool IsPrivateGroup(gid_t gid) {
  if (gid == 0) return true;
  std::vector<char> buffer(1 << 16);
  passwd user_entry;
  passwd* user = nullptr;
  if (getpwuid_r(geteuid(), &user_entry, buffer.data(), buffer.size(), &user) != 0 ||
      user == nullptr || user->pw_gid != gid) {
    return false;
  }
  std::vector<char> group_buffer(1 << 16);
  group group_entry;
  group* found = nullptr;
  if (getgrgid_r(gid, &group_entry, group_buffer.data(), group_buffer.size(), &found) != 0 ||
      found == nullptr || std::string_view(found->gr_name) != user->pw_name) {
    return false;
  }
  for (char** member = found->gr_mem; *member != nullptr; ++member) {
    if (std::string_view(*member) != user->pw_name) return false;
  }
  return true;
}

void CheckOwner(const fs::path& path, const struct stat& status) {
  if (IsTrustedOwner(status.st_uid)) return;
  RefuseAncestor(path, "belongs to user " + std::to_string(status.st_uid),
                 "keep the store where only root and this user own the directories above it");
}

void CheckAncestor(const fs::path& path, const struct stat& status) {
  CheckOwner(path, status);
  if ((status.st_mode & S_ISVTX) != 0) return;
  // With a POSIX access list, the group bits are its mask and may apply to named users.
  const bool group_writes =
      (status.st_mode & S_IWGRP) != 0 && (HasAccessList(path) || !IsPrivateGroup(status.st_gid));
  if ((status.st_mode & S_IWOTH) == 0 && !group_writes) return;
  RefuseAncestor(path, "can be written by other users", "run `chmod go-w '" + path.string() + "'`");
}

// Pushes the components of `path` on `stack`, so that the first is on top.
void PushComponents(const fs::path& path, std::vector<fs::path>& stack) {
  const std::vector<fs::path> components(path.begin(), path.end());
  stack.insert(stack.end(), components.rbegin(), components.rend());
}

}  // namespace

void CheckAncestors(const fs::path& path) {
  constexpr int kMaxLinks = 40;  // as Linux (path_resolution(7)); opening the path fails as well
  std::vector<fs::path> rest;
  PushComponents(path.parent_path(), rest);
  fs::path reached;
  int links = 0;
  while (!rest.empty()) {
    const fs::path component = rest.back();
    rest.pop_back();
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      reached = reached.parent_path();
      continue;
    }
    const fs::path next = reached / component;  // "/" for the root itself
    struct stat status;
    if (lstat(next.c_str(), &status) != 0) return;
    if (S_ISLNK(status.st_mode)) {
      CheckOwner(next, status);
      std::error_code error;
      const fs::path target = fs::read_symlink(next, error);
      if (error || ++links > kMaxLinks) return;
      PushComponents(target, rest);
      continue;  // an absolute target begins with "/", which replaces `reached`
    }
    if (!S_ISDIR(status.st_mode)) return;
    CheckAncestor(next, status);
    reached = next;
  }
}

}  // namespace device_key
