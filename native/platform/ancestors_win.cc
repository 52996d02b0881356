#include "platform/ancestors_win.h"

#include <cstring>

#include "platform/ancestors.h"
#include "platform/error.h"
#include "platform/unique_handle.h"
#include "platform/windows_access.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

// TrustedInstaller, the service that owns Windows' own directories such as C:\. It has no
// WELL_KNOWN_SID_TYPE.
constexpr wchar_t kTrustedInstaller[] =
    L"S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

bool IsTrusted(PSID sid, PSID user) {
  return EqualSid(sid, user) || IsSystem(sid) || SidText(sid) == kTrustedInstaller;
}

// An app package or one of its capabilities (S-1-15-...). A program in an app container needs these
// grants in addition to its user's, so they give no other user access.
// https://learn.microsoft.com/windows/win32/secauthz/appcontainer-isolation
bool IsAppPackage(PSID sid) {
  constexpr SID_IDENTIFIER_AUTHORITY kAppPackage = {SECURITY_APP_PACKAGE_AUTHORITY};
  return memcmp(GetSidIdentifierAuthority(sid), &kAppPackage, sizeof kAppPackage) == 0;
}

// The length of the prefix \\?\C:\, \\?\Volume{...}\ or \\?\UNC\server\share\ of `path`, or the
// length of `path` if it is only a prefix.
size_t RootLength(const std::wstring& path) {
  int names = path.starts_with(L"\\\\?\\UNC\\") ? 3 : 1;
  for (size_t i = 4; i < path.size(); ++i) {
    if (path[i] == L'\\' && --names == 0) return i + 1;
  }
  return path.size();
}

void CheckAncestor(const std::wstring& path, bool is_root, PSID user) {
  const std::string shown =
      Utf8FromWide(path.starts_with(L"\\\\?\\UNC\\") ? L'\\' + path.substr(7) : path.substr(4));
  const UniqueHandle directory(
      CreateFileW(path.c_str(), READ_CONTROL | FILE_READ_ATTRIBUTES,
                  FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                  FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, nullptr));
  const std::string what = "the directory " + shown + " above the key store";
  if (!directory.valid()) {
    const DWORD error = GetLastError();
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND) return;
    ThrowWindows(what + " cannot be examined", error);
  }
  const FileSecurity security = SecurityOf(directory.get(), what);
  const AncestorKind kind = is_root                   ? AncestorKind::kRoot
                            : IsLink(directory.get()) ? AncestorKind::kLink
                                                      : AncestorKind::kDirectory;
  PSID other = FindWhoMayReplace(security.owner, security.list, kind, user);
  if (other == nullptr) return;
  const std::string name = IcaclsName(other);
  throw DeviceKeyError(
      ErrorCode::kStoreInsecure,
      shown + ", which the path of the key store leads through, can be renamed or replaced by " +
          "other users (" + name.substr(1) + "), who could put another store in its place: " +
          "keep the store in your profile, or run `icacls \"" + shown + "\" " +
          (EqualSid(other, security.owner)
               ? "/setowner \"" + IcaclsName(user) + "\"`"
               : "/inheritance:d` and `icacls \"" + shown + "\" /remove:g \"" + name + "\"`"));
}

// Checks every directory above the last component of `path`, which has the prefix \\?\.
void CheckEachAbove(const std::wstring& path, PSID user) {
  const size_t root = RootLength(path);
  if (!path.starts_with(L"\\\\?\\") || root >= path.size()) return;
  CheckAncestor(path.substr(0, root), true, user);
  for (size_t end = path.find(L'\\', root); end != std::wstring::npos;
       end = path.find(L'\\', end + 1)) {
    CheckAncestor(path.substr(0, end), false, user);
  }
}

// The final path behind all links, without a separator at the end; empty when `path` does not
// exist.
std::wstring FinalPath(const std::wstring& path) {
  const UniqueHandle file(CreateFileW(path.c_str(), FILE_READ_ATTRIBUTES,
                                      FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                      nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr));
  if (!file.valid()) {
    const DWORD error = GetLastError();
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND) return {};
    ThrowWindows(Utf8FromWide(path) + " cannot be examined", error);
  }
  std::wstring final_path(32'768, L'\0');                          // Windows' maximum path length
  for (const DWORD names : {VOLUME_NAME_DOS, VOLUME_NAME_GUID}) {  // not every volume has a letter
    const DWORD length = GetFinalPathNameByHandleW(file.get(), final_path.data(),
                                                   static_cast<DWORD>(final_path.size()), names);
    if (length == 0 || length >= final_path.size()) continue;
    final_path.resize(length);
    if (final_path.ends_with(L'\\')) final_path.pop_back();  // the root of a volume
    return final_path;
  }
  const DWORD error = GetLastError();
  if (error == ERROR_MORE_DATA) return {};  // Wine, beyond MAX_PATH
  ThrowWindows(Utf8FromWide(path) + " cannot be examined", error);
}

}  // namespace

PSID FindWhoMayReplace(PSID owner, PACL list, AncestorKind kind, PSID user) {
  static const Sid everyone = [] {
    Sid sid{std::vector<uint8_t>(SECURITY_MAX_SID_SIZE)};
    DWORD size = static_cast<DWORD>(sid.bytes.size());
    CreateWellKnownSid(WinWorldSid, nullptr, sid.get(), &size);
    return sid;
  }();
  if (list == nullptr) return everyone.get();
  if (owner == nullptr || !IsTrusted(owner, user)) return owner ? owner : everyone.get();
  ACCESS_MASK replacing = FILE_DELETE_CHILD | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;
  if (kind != AncestorKind::kRoot) replacing |= DELETE;
  if (kind == AncestorKind::kLink) {
    replacing |= FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES | GENERIC_WRITE;
  }
  for (const Grant& grant : GrantsOf(list, /*inherit_only=*/false)) {
    if ((grant.rights & replacing) != 0 && !IsTrusted(grant.sid, user) &&
        !IsAppPackage(grant.sid)) {
      return grant.sid;
    }
  }
  return nullptr;
}

void CheckAncestors(const fs::path& path) {
  const Sid user = CurrentUser();
  const std::wstring extended = ExtendedPath(path);
  CheckEachAbove(extended, user.get());
  const std::wstring parent = FinalPath(ExtendedPath(path.parent_path()));
  if (parent.empty() || extended.starts_with(parent + L'\\')) return;
  CheckEachAbove(parent + L"\\.", user.get());
}

}  // namespace device_key
