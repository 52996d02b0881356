// The rule for one directory above the key store on Windows.
#ifndef DEVICE_KEY_PLATFORM_ANCESTORS_WIN_H_
#define DEVICE_KEY_PLATFORM_ANCESTORS_WIN_H_

#include "platform/windows_api.h"

namespace device_key {

enum class AncestorKind {
  kRoot,       // of a drive or a share; it cannot be renamed
  kDirectory,  // any other directory
  kLink,       // a junction or a symbolic link; its target can also be changed
};

// Returns a user or group that could replace a directory that is reached through this one: its
// owner, and anyone with the right to rename or delete it (DELETE), to rename or delete its entries
// (FILE_DELETE_CHILD), or to change its access list or owner. `user`, the system, the
// administrators and Windows' own installer are trusted. Null when there is no other.
//
// The right to create directories in it is allowed, as Authenticated Users have in C:\: it does not
// include moving existing entries. This corresponds to the sticky bit of /tmp. The rights are those
// of
// https://learn.microsoft.com/windows/win32/fileio/file-access-rights-constants
// `list` is null when everyone has full access. The result points into the arguments or is static.
PSID FindWhoMayReplace(PSID owner, PACL list, AncestorKind kind, PSID user);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ANCESTORS_WIN_H_
