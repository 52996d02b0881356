// The rule for one directory above the key store on Windows.
#ifndef DEVICE_KEY_PLATFORM_ANCESTORS_WIN_H_
#define DEVICE_KEY_PLATFORM_ANCESTORS_WIN_H_

#include "platform/windows_api.h"

namespace device_key {

enum class AncestorKind {
  kRoot,       // of a drive or a share; it cannot be renamed
  kDirectory,  // any other directory
  kLink,       // a junction or a symbolic link; it can also be made to lead elsewhere
};

// Returns a user or group, other than `user`, the system, the administrators and Windows' own
// installer, who could put another directory in the place of one that is reached through this one:
// its owner, or who may rename or delete it (DELETE), rename or delete what is in it
// (FILE_DELETE_CHILD), or change its access list or owner. Null when there is none.
//
// Making directories in it is allowed, as Authenticated Users may in C:\: without the rights above
// nobody can move what is there already. It corresponds to the sticky bit of /tmp.
// The rights are those of
// https://learn.microsoft.com/windows/win32/fileio/file-access-rights-constants
// `list` is null when everyone may do everything. The result points into the arguments or is
// static.
PSID FindWhoMayReplace(PSID owner, PACL list, AncestorKind kind, PSID user);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ANCESTORS_WIN_H_
