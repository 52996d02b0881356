// The directories above the key store.
#ifndef DEVICE_KEY_PLATFORM_ANCESTORS_H_
#define DEVICE_KEY_PLATFORM_ANCESTORS_H_

#include <filesystem>

namespace device_key {

// Throws `store_insecure` when another user could rename a directory on the absolute `path`, or a
// symbolic link on it, and so put another directory in the place of `path`. Each directory above
// `path`, also behind symbolic links, must
// - belong to root or to this user, and
// - be writable by them alone, or have the sticky bit, as /tmp has: then only an entry's owner can
//   rename it.
// A group may write to a directory if it is root's (group 0), or this user's private group: the
// primary group, with the user's name and without other members, as Debian and Fedora make them.
// In a user namespace (a container) owners that are not mapped show as one id, and root of the host
// is one of them: that id is taken for root.
//
// On Windows the rules are those of ancestors_win.h, for each directory and link on `path` as it is
// written and on the path that it leads to in the end. Links behind links are not checked. Throws
// `store_unwritable` when an access list cannot be read.
//
// Does not check `path` itself. Stops without an error at what does not exist.
void CheckAncestors(const std::filesystem::path& path);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ANCESTORS_H_
