// A Windows handle that closes itself.
#ifndef DEVICE_KEY_PLATFORM_UNIQUE_HANDLE_H_
#define DEVICE_KEY_PLATFORM_UNIQUE_HANDLE_H_

#include <utility>

namespace device_key {

// Uses void*, which is what a HANDLE is, because the macros of <windows.h> would reach every file
// that includes this one. Null and INVALID_HANDLE_VALUE, which Windows' functions return for
// errors, are not valid.
class UniqueHandle {
 public:
  UniqueHandle() = default;
  explicit UniqueHandle(void* handle) : handle_(handle) {}
  UniqueHandle(UniqueHandle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~UniqueHandle();

  void* get() const { return handle_; }
  bool valid() const { return handle_ != nullptr && handle_ != Invalid(); }

 private:
  static void* Invalid();

  void* handle_ = nullptr;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_UNIQUE_HANDLE_H_
