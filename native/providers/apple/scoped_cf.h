// Owned references to CoreFoundation objects.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_SCOPED_CF_H_
#define DEVICE_KEY_PROVIDERS_APPLE_SCOPED_CF_H_

#include <CoreFoundation/CoreFoundation.h>

#include <memory>
#include <type_traits>

namespace device_key {

struct CfReleaser {
  void operator()(CFTypeRef object) const { CFRelease(object); }
};

// Releases an object that a function with Create or Copy in its name returned (Memory Management
// Programming Guide for Core Foundation, "Ownership Policy"). Never for the result of a Get
// function.
template <class Ref>
using ScopedCf = std::unique_ptr<std::remove_pointer_t<Ref>, CfReleaser>;

// Receives the error of a function that takes a `CFErrorRef*`.
class CfErrorSlot {
 public:
  CfErrorSlot() = default;
  ~CfErrorSlot() { static_cast<void>(ScopedCf<CFErrorRef>(error_)); }
  CfErrorSlot(const CfErrorSlot&) = delete;
  CfErrorSlot& operator=(const CfErrorSlot&) = delete;

  CFErrorRef* receive() { return &error_; }
  CFErrorRef get() const { return error_; }  // null if the function set none

 private:
  CFErrorRef error_ = nullptr;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_SCOPED_CF_H_
