// The directories above the key store.
#ifndef DEVICE_KEY_PLATFORM_ANCESTORS_H_
#define DEVICE_KEY_PLATFORM_ANCESTORS_H_

#include <filesystem>

namespace device_key {

// Throws `store_insecure` when another user could rename a directory or symbolic link on the
// absolute `path`, and so replace `path` by another directory. Each directory above `path`, also
// behind symbolic links, must
// - belong to root or to this user, and
// - be writable by them alone, or have the sticky bit, like /tmp: then only the owner of an entry
// can rename it.
// A group may have write access if it is root's (group 0) or this user's private group: the primary
// group, with the user's name and without other members, as Debian and Fedora create it. In a user
// namespace (a container) all unmapped owners appear as one id, and root of the host is one of
// them: that id is treated as root.
//
// On Windows the rules are those of ancestors_win.h. They apply to each directory and link on
// `path` as written, and on the final path behind all links. Links behind links are not checked.
// Throws `store_unwritable` when an access list cannot be read.
//
// Does not check `path` itself. Stops without an error at the first component that does not exist.
void CheckAncestors(const std::filesystem::path& path);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ANCESTORS_H_
