#include "platform/extended_acl.h"

namespace device_key {

// The group bits of the mode are the mask of a POSIX access list (acl(5)): it grants nothing that
// they do not.
void CheckExtendedAcl(int, const std::string&, const std::string&) {}

}  // namespace device_key
