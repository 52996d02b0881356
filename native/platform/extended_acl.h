// Access lists beside a file's mode, which can let others use what the mode keeps from them.
#ifndef DEVICE_KEY_PLATFORM_EXTENDED_ACL_H_
#define DEVICE_KEY_PLATFORM_EXTENDED_ACL_H_

#include <string>

namespace device_key {

// Throws `store_insecure` when the access list of the open file or directory `fd` allows anybody to
// read or change it, and `store_unwritable` when the list cannot be read. `what` begins the
// message.
void CheckExtendedAcl(int fd, const std::string& what, const std::string& path);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_EXTENDED_ACL_H_
