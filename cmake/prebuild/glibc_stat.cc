// Replaces functions of zig's C library in the prebuilt addons for glibc.
//
// Before glibc 2.33 these functions are not in libc.so.6: each program has them, and they call the
// functions below. zig's have the system calls in them, and keep the error in a variable of their
// own instead of errno.
#include <sys/stat.h>

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
