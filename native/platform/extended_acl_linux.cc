#include <sys/stat.h>
#include <sys/xattr.h>

#include "platform/error.h"
#include "platform/extended_acl.h"

namespace device_key {

// The group bits of the mode are the mask of a POSIX access list (acl(5)): without them the list
// grants nothing. A new file of mode 0600 gets an empty mask when its directory has a default list.
// The caller would refuse the group bits too, but this message has the better cure.
void CheckExtendedAcl(int fd, const std::string& what, const std::string& path) {
  struct stat status;
  if (fgetxattr(fd, "system.posix_acl_access", nullptr, 0) <= 0 || fstat(fd, &status) != 0 ||
      (status.st_mode & S_IRWXG) == 0) {
    return;
  }
  throw DeviceKeyError(ErrorCode::kStoreInsecure,
                       what +
                           " has an access list that lets other users read or change it: check "
                           "what it holds, then run `setfacl -b '" +
                           path + "' && chmod go= '" + path + "'`");
}

}  // namespace device_key
