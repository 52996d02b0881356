// Who may do what with a file or directory of Windows. For the *_win.cc files.
#ifndef DEVICE_KEY_PLATFORM_WINDOWS_ACCESS_H_
#define DEVICE_KEY_PLATFORM_WINDOWS_ACCESS_H_

#include "platform/windows_api.h"
// After <windows.h>.
#include <aclapi.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace device_key {

struct LocalFreeing {
  void operator()(void* memory) const { LocalFree(memory); }
};
template <class T>
using LocalPtr = std::unique_ptr<T, LocalFreeing>;

// The form of an absolute path that has no limit of 260 characters. Its prefix \\?\ also switches
// the interpretation of names off: "nul" and trailing dots are names like any other.
std::wstring ExtendedPath(const std::filesystem::path& path);

// Junctions and symbolic links lead elsewhere; other reparse points (OneDrive's, deduplicated
// files) are the file itself.
bool LeadsElsewhere(HANDLE file);

struct Sid {
  std::vector<uint8_t> bytes;
  PSID get() const { return const_cast<uint8_t*>(bytes.data()); }
};

// The user of this process. Throws `store_unwritable`.
Sid CurrentUser();

// "S-1-5-18", for example.
std::wstring SidText(PSID sid);

// The way icacls takes users and groups in every language of Windows and in every shell.
std::string IcaclsName(PSID sid);

// Whether no file can be kept from `sid` (the system, administrators), or it stands for a file's
// owner (CREATOR OWNER, OWNER RIGHTS).
bool IsSystem(PSID sid);

struct FileSecurity {
  LocalPtr<void> descriptor;  // `owner` and `list` point into it
  PSID owner = nullptr;
  PACL list = nullptr;  // null: everyone may do everything
};

// Throws `store_unwritable`, with a message that begins with `what`. `file` needs READ_CONTROL.
FileSecurity SecurityOf(HANDLE file, const std::string& what);

struct Grant {
  PSID sid = nullptr;  // points into the list
  ACCESS_MASK rights = 0;
};

// Every entry of `list` that allows something. With `inherit_only`, also those that apply only to
// what is made in the directory.
std::vector<Grant> GrantsOf(PACL list, bool inherit_only);

// Throws `store_unwritable` with Windows' words for `error`, after `what`.
[[noreturn]] void ThrowWindows(const std::string& what, DWORD error);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_WINDOWS_ACCESS_H_
