// Access control of a new key: when it can be used, and who must confirm that.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_ACCESS_CONTROL_H_
#define DEVICE_KEY_PROVIDERS_APPLE_ACCESS_CONTROL_H_

#include <Security/Security.h>

#include "providers/apple/scoped_cf.h"

namespace device_key {

// Only on this device, and from the first unlock after a restart, so that background work can sign;
// with `flags`. Throws macOS' error.
ScopedCf<SecAccessControlRef> AccessControl(SecAccessControlCreateFlags flags);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_ACCESS_CONTROL_H_
