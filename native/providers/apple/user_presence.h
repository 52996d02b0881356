// Whether people are asked.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_USER_PRESENCE_H_
#define DEVICE_KEY_PROVIDERS_APPLE_USER_PRESENCE_H_

#include <chrono>

namespace device_key {

struct UserPresence {
  // Whether each use of a new key has to be confirmed with Touch ID or the login password.
  bool required = false;
  // For how long one confirmation holds, for all keys; 0 is for one use.
  std::chrono::seconds reuse{0};
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_USER_PRESENCE_H_
