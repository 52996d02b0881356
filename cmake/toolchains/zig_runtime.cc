// Replaces functions of zig's C and C++ libraries in the prebuilt addons for Linux.
#include <sys/stat.h>

#include <cstddef>

// libc++abi calls it to print the type of an uncaught exception, and it would be 3 % of the addon.
// https://itanium-cxx-abi.github.io/cxx-abi/abi.html#demangler: -2 says that the name is not valid.
extern "C" char* __cxa_demangle(const char* name, char* buffer, size_t* length, int* status) {
  static_cast<void>(name);
  static_cast<void>(buffer);
  static_cast<void>(length);
  if (status != nullptr) *status = -2;
  return nullptr;
}

#ifdef __GLIBC__

// Before glibc 2.33 these functions are not in libc.so.6: each program has them, and they call the
// functions below. zig's have the system calls in them, and keep the error in a variable of their
// own instead of errno.
extern "C" {
int __xstat(int version, const char* path, struct stat* status);
int __lxstat(int version, const char* path, struct stat* status);
int __fxstat(int version, int fd, struct stat* status);
int __fxstatat(int version, int fd, const char* path, struct stat* status, int flags);
}

namespace {
// _STAT_VER of glibc 2.28's bits/stat.h.
#ifdef __x86_64__
constexpr int kStatVersion = 1;
#else
constexpr int kStatVersion = 0;
#endif
}  // namespace

extern "C" {
int stat(const char* path, struct stat* status) noexcept {
  return __xstat(kStatVersion, path, status);
}
int lstat(const char* path, struct stat* status) noexcept {
  return __lxstat(kStatVersion, path, status);
}
int fstat(int fd, struct stat* status) noexcept { return __fxstat(kStatVersion, fd, status); }
int fstatat(int fd, const char* path, struct stat* status, int flags) noexcept {
  return __fxstatat(kStatVersion, fd, path, status, flags);
}
}
#endif
