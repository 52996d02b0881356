// Whether a person must confirm the use of a key.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_USER_PRESENCE_H_
#define DEVICE_KEY_PROVIDERS_APPLE_USER_PRESENCE_H_

#include <chrono>

namespace device_key {

struct UserPresence {
  // Whether each use of a new key must be confirmed with Touch ID or the login password.
  bool required = false;
  // How long one confirmation is valid, for all keys of a store. 0: for one use.
  std::chrono::seconds reuse{0};
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_USER_PRESENCE_H_
