// Access lists, which can grant other users access that the file's mode denies.
#ifndef DEVICE_KEY_PLATFORM_EXTENDED_ACL_H_
#define DEVICE_KEY_PLATFORM_EXTENDED_ACL_H_

#include <string>

namespace device_key {

// Throws `store_insecure` when the access list of the open file or directory `fd` lets another user
// read or change it, and `store_unwritable` when the list cannot be read. The message begins with
// `what`.
void CheckExtendedAcl(int fd, const std::string& what, const std::string& path);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_EXTENDED_ACL_H_
