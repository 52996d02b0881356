// The part of Darwin's <sys/acl.h> that the addon uses, declared from its manual pages, for the
// tests on Linux. A build for macOS uses the real header.
#ifndef DEVICE_KEY_TEST_SUPPORT_APPLE_ACL_H_
#define DEVICE_KEY_TEST_SUPPORT_APPLE_ACL_H_

#include <cstdint>

enum acl_perm_t {
  ACL_READ_DATA = 1 << 1,
  ACL_WRITE_DATA = 1 << 2,
  ACL_DELETE = 1 << 4,
  ACL_APPEND_DATA = 1 << 5,
  ACL_DELETE_CHILD = 1 << 6,
  ACL_WRITE_SECURITY = 1 << 12,
  ACL_CHANGE_OWNER = 1 << 13,
};
enum acl_tag_t { ACL_EXTENDED_ALLOW = 1, ACL_EXTENDED_DENY = 2 };
enum acl_type_t { ACL_TYPE_EXTENDED = 0x100 };
enum acl_entry_id_t { ACL_FIRST_ENTRY = 0, ACL_NEXT_ENTRY = -1 };

using acl_t = struct _acl*;
using acl_entry_t = struct _acl_entry*;
using acl_permset_mask_t = uint64_t;

extern "C" {

acl_t acl_get_fd_np(int fd, acl_type_t type);
int acl_free(void* list);
int acl_get_entry(acl_t list, int which, acl_entry_t* entry);
int acl_get_tag_type(acl_entry_t entry, acl_tag_t* tag);
int acl_get_permset_mask_np(acl_entry_t entry, acl_permset_mask_t* mask);

}  // extern "C"

#endif  // DEVICE_KEY_TEST_SUPPORT_APPLE_ACL_H_
