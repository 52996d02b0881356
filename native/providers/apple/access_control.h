// When a key may be used, and by whom.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_ACCESS_CONTROL_H_
#define DEVICE_KEY_PROVIDERS_APPLE_ACCESS_CONTROL_H_

#include <Security/Security.h>

#include "providers/apple/scoped_cf.h"

namespace device_key {

// On this device only, from the first unlock after a start on, so that background work can sign;
// with `flags`. Throws what macOS answered.
ScopedCf<SecAccessControlRef> AccessControl(SecAccessControlCreateFlags flags);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_ACCESS_CONTROL_H_
