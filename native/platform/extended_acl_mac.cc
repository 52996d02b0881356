#include <sys/acl.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <type_traits>

#include "platform/error.h"
#include "platform/extended_acl.h"

namespace device_key {
namespace {

struct AclFreer {
  void operator()(acl_t list) const { acl_free(list); }
};
using ScopedAcl = std::unique_ptr<std::remove_pointer_t<acl_t>, AclFreer>;

// The rights to read or change a file, a directory's entries, or their access lists. For a
// directory, ACL_READ_DATA lists it, ACL_WRITE_DATA adds files and ACL_APPEND_DATA adds
// directories.
constexpr acl_permset_mask_t kUses = ACL_READ_DATA | ACL_WRITE_DATA | ACL_APPEND_DATA | ACL_DELETE |
                                     ACL_DELETE_CHILD | ACL_WRITE_SECURITY | ACL_CHANGE_OWNER;

bool AllowsUse(acl_entry_t entry) {
  acl_tag_t tag;
  acl_permset_mask_t permissions = 0;
  // An entry that cannot be read counts as a grant.
  if (acl_get_tag_type(entry, &tag) != 0) return true;
  if (tag != ACL_EXTENDED_ALLOW) return false;
  return acl_get_permset_mask_np(entry, &permissions) != 0 || (permissions & kUses) != 0;
}

}  // namespace

void CheckExtendedAcl(int fd, const std::string& what, const std::string& path) {
  const ScopedAcl list(acl_get_fd_np(fd, ACL_TYPE_EXTENDED));
  if (!list) {
    const int error = errno;
    // The file has no list, or the file system has no lists.
    if (error == ENOENT || error == ENOTSUP || error == EOPNOTSUPP) return;
    throw DeviceKeyError(
        ErrorCode::kStoreUnwritable,
        "the access list of " + what + " cannot be read: " + std::generic_category().message(error),
        static_cast<uint32_t>(error));
  }
  // Success is 0, unlike in the POSIX draft (acl_get_entry(3) of macOS).
  acl_entry_t entry = nullptr;
  for (int which = ACL_FIRST_ENTRY; acl_get_entry(list.get(), which, &entry) == 0;
       which = ACL_NEXT_ENTRY) {
    if (!AllowsUse(entry)) continue;
    throw DeviceKeyError(
        ErrorCode::kStoreInsecure,
        what +
            " has an access list that allows others to read or change it: check what it "
            "holds, then remove the list with `chmod -N '" +
            path + "'`");
  }
}

}  // namespace device_key
