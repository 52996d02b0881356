// A library for LD_PRELOAD. Kills the process or fails a call at the Nth system call that the addon
// makes on its own threads (those named device-key-…). FAULT_AT_CALL is one of
//   list:FILE                    writes the function of each call to FILE, a line for each
//   kill:N                       SIGKILL before call N, from 1
//   fail:N:ERRNO:FILE            call N fails with that number; writes its function to FILE then
//   fail:N:ERRNO:FILE:FUNCTION   the same for the Nth call of this function
// Calls of other libraries in the process, such as a PKCS#11 module, are not counted.
//
// CLOCK_OFFSET names a file of eight bytes: a native integer, the number of seconds that time() is
// ahead. The file may be changed while the process runs.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>

namespace {

enum class Mode { kNone, kList, kKill, kFail };

// Not through the functions of this library.
int OpenDirectly(const char* path, int flags) {
  const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, 0600));
  if (fd < 0) abort();
  return fd;
}

struct Plan {
  Mode mode = Mode::kNone;
  int call = 0;
  int error = 0;
  int file = -1;
  char function[32] = {};  // counts only its calls; "" for all functions

  Plan() {
    const char* text = getenv("FAULT_AT_CALL");
    if (!text) return;
    char path[PATH_MAX] = {};
    if (sscanf(text, "list:%4095s", path) == 1) {
      mode = Mode::kList;
    } else if (sscanf(text, "kill:%d", &call) == 1) {
      mode = Mode::kKill;
    } else if (sscanf(text, "fail:%d:%d:%4095[^:]:%31s", &call, &error, path, function) >= 3) {
      mode = Mode::kFail;
    } else {
      abort();
    }
    if (mode != Mode::kKill) file = OpenDirectly(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  }

  void Write(const char* function) const {
    char line[64];
    const int size = snprintf(line, sizeof line, "%s\n", function);
    if (syscall(SYS_write, file, line, size) != size) abort();
  }
};

const Plan plan;

const volatile int64_t* MapClockOffset() {
  const char* path = getenv("CLOCK_OFFSET");
  if (!path) return nullptr;
  const int fd = OpenDirectly(path, O_RDONLY | O_CLOEXEC);
  void* mapped = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) abort();
  syscall(SYS_close, fd);
  return static_cast<const volatile int64_t*>(mapped);
}
const volatile int64_t* const clock_offset = MapClockOffset();

std::atomic<int> calls{0};

bool IsOfAddon(const void* caller) {
  if (plan.mode == Mode::kNone) return false;
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  Dl_info info;
  return strncmp(name, "device-key", 10) == 0 && dladdr(caller, &info) != 0 &&
         strstr(info.dli_fname, "device_key.node") != nullptr;
}

// Whether the call of `function` must fail; errno is then set.
bool Fails(const void* caller, const char* function) {
  if (!IsOfAddon(caller)) return false;
  if (plan.function[0] != '\0' && strcmp(plan.function, function) != 0) return false;
  const int call = ++calls;
  if (plan.mode == Mode::kList) plan.Write(function);
  if (call != plan.call) return false;
  if (plan.mode == Mode::kKill) kill(getpid(), SIGKILL);
  plan.Write(function);
  errno = plan.error;
  return true;
}

template <class F>
F Real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define FAILS() Fails(__builtin_return_address(0), __func__)

extern "C" {

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, const char*, int, ...)>("openat");
  return real(directory, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(const char*, int, ...)>("open");
  return real(path, flags, mode);
}

// Linux closes the descriptor even when close() returns an error (close(2)).
int close(int fd) {
  const bool fails = FAILS();
  const int error = errno;
  static const auto real = Real<int (*)(int)>("close");
  const int result = real(fd);
  if (!fails) return result;
  errno = error;
  return -1;
}

DIR* fdopendir(int fd) {
  if (FAILS()) return nullptr;
  static const auto real = Real<DIR* (*)(int)>("fdopendir");
  return real(fd);
}

dirent* readdir(DIR* stream) {
  if (FAILS()) return nullptr;
  static const auto real = Real<dirent* (*)(DIR*)>("readdir");
  return real(stream);
}

ssize_t read(int fd, void* data, size_t size) {
  if (FAILS()) return -1;
  static const auto real = Real<ssize_t (*)(int, void*, size_t)>("read");
  return real(fd, data, size);
}

ssize_t write(int fd, const void* data, size_t size) {
  if (FAILS()) return -1;
  static const auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  return real(fd, data, size);
}

int fsync(int fd) {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int)>("fsync");
  return real(fd);
}

int fstat(int fd, struct stat* result) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, struct stat*)>("fstat");
  return real(fd, result);
}

int lstat(const char* path, struct stat* result) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(const char*, struct stat*)>("lstat");
  return real(path, result);
}

int fstatat(int directory, const char* path, struct stat* result, int flags) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, const char*, struct stat*, int)>("fstatat");
  return real(directory, path, result, flags);
}

ssize_t fgetxattr(int fd, const char* name, void* value, size_t size) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<ssize_t (*)(int, const char*, void*, size_t)>("fgetxattr");
  return real(fd, name, value, size);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(const char*, mode_t)>("mkdir");
  return real(path, mode);
}

int flock(int fd, int operation) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, int)>("flock");
  return real(fd, operation);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, const char*, int, const char*)>("renameat");
  return real(from_directory, from, to_directory, to);
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, const char*, int)>("unlinkat");
  return real(directory, path, flags);
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(int, const sockaddr*, socklen_t)>("connect");
  return real(fd, address, size);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  if (FAILS()) return -1;
  static const auto real = Real<ssize_t (*)(int, const void*, size_t, int)>("send");
  return real(fd, data, size, flags);
}

int poll(pollfd* fds, nfds_t count, int timeout_ms) {
  if (FAILS()) return -1;
  static const auto real = Real<int (*)(pollfd*, nfds_t, int)>("poll");
  return real(fds, count, timeout_ms);
}

time_t time(time_t* result) noexcept {
  static const auto real = Real<time_t (*)(time_t*)>("time");
  const time_t now = real(nullptr) + (clock_offset ? *clock_offset : 0);
  if (result) *result = now;
  return now;
}

// The addon may be compiled with 64-bit file offsets; these functions are then the same.
int openat64(int, const char*, int, ...) __attribute__((alias("openat")));
int open64(const char*, int, ...) __attribute__((alias("open")));
int fstat64(int, struct stat64*) noexcept __attribute__((alias("fstat")));
int lstat64(const char*, struct stat64*) noexcept __attribute__((alias("lstat")));
int fstatat64(int, const char*, struct stat64*, int) noexcept __attribute__((alias("fstatat")));
dirent64* readdir64(DIR*) __attribute__((alias("readdir")));

}  // extern "C"
