// Access lists of files and directories on Windows. For the *_win.cc files.
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

// The extended form of an absolute path, which may have more than 260 characters. Its \\?\ prefix
// also turns off special names: "nul" and trailing dots are ordinary.
std::wstring ExtendedPath(const std::filesystem::path& path);

// Whether it is a junction or a symbolic link, which lead to another place. Other reparse points
// (OneDrive's, deduplicated files) are the file itself.
bool IsLink(HANDLE file);

struct Sid {
  std::vector<uint8_t> bytes;
  PSID get() const { return const_cast<uint8_t*>(bytes.data()); }
};

// The user of this process. Throws `store_unwritable`.
Sid CurrentUser();

// "S-1-5-18", for example.
std::wstring SidText(PSID sid);

// A user or group in the format that icacls accepts in every language of Windows and in every
// shell.
std::string IcaclsName(PSID sid);

// Whether `sid` always has access to every file (the system, administrators), or stands for the
// owner of a file (CREATOR OWNER, OWNER RIGHTS).
bool IsSystem(PSID sid);

struct FileSecurity {
  LocalPtr<void> descriptor;  // `owner` and `list` point into it
  PSID owner = nullptr;
  PACL list = nullptr;  // null: everyone has full access
};

// Throws `store_unwritable`; the message begins with `what`. `file` needs READ_CONTROL.
FileSecurity SecurityOf(HANDLE file, const std::string& what);

struct Grant {
  PSID sid = nullptr;  // points into the list
  ACCESS_MASK rights = 0;
};

// Every entry of `list` that grants something. With `inherit_only`, also the entries that apply
// only to new files in the directory.
std::vector<Grant> GrantsOf(PACL list, bool inherit_only);

// Throws `store_unwritable` with `what` and Windows' message for `error`.
[[noreturn]] void ThrowWindows(const std::string& what, DWORD error);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_WINDOWS_ACCESS_H_
