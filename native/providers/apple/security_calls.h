// The calls into Security.framework: it waits for people and for daemons, and has no time limits.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_SECURITY_CALLS_H_
#define DEVICE_KEY_PROVIDERS_APPLE_SECURITY_CALLS_H_

#include "platform/bounded_calls.h"

namespace device_key {

// The process's one object. Never destroyed: a call may hang while the process exits.
inline BoundedCalls& SecurityCalls() {
  static auto& calls = *new BoundedCalls(
      BoundedCalls::Threads::kOnePerCall, "device-key-mac",
      {.timeout = "macOS did not answer in time; it may be waiting for someone to confirm. Try "
                  "again, or raise timeoutMs",
       .busy =
           "macOS has not yet answered what it was asked before; answer its dialogs, or log out "
           "and in again"});
  return calls;
}

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_SECURITY_CALLS_H_
