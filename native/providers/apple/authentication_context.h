// One confirmation by a person that holds for several uses of keys.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_AUTHENTICATION_CONTEXT_H_
#define DEVICE_KEY_PROVIDERS_APPLE_AUTHENTICATION_CONTEXT_H_

#include <CoreFoundation/CoreFoundation.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>

#include "platform/error.h"

namespace device_key {

// How long a confirmation is valid. When a key that requires user presence is used with an
// LAContext that has not been confirmed, macOS itself asks the user. The confirmation then belongs
// to that context, and later uses with the same context do not ask (kSecUseAuthenticationContext in
// SecItem.h). So the context is not evaluated beforehand, and a window is an LAContext that is
// released in time. Thread-safe.
class ReuseWindow {
 public:
  // 0: ask for every use.
  explicit ReuseWindow(std::chrono::seconds length) : length_(length) {}

  // Returns the result of `use(context)`. `context` is for kSecUseAuthenticationContext; it is null
  // if every use must be confirmed. The first successful use opens the window; a failed use closes
  // it.
  template <class Use>
  auto During(Use use) {
    const Context context = Current();
    try {
      auto result = use(static_cast<CFTypeRef>(context.get()));
      Confirm(context);
      return result;
    } catch (const DeviceKeyError&) {
      Close(context);
      throw;
    }
  }

 private:
  using Context = std::shared_ptr<const void>;
  using Clock = std::chrono::steady_clock;

  Context Current();
  void Confirm(const Context& context);
  void Close(const Context& context);

  const std::chrono::seconds length_;
  std::mutex mutex_;
  Context context_;
  std::optional<Clock::time_point> end_;  // set once confirmed
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_AUTHENTICATION_CONTEXT_H_
