#include "platform/file_faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

namespace device_key {
namespace {

struct Faults {
  bool armed = false;
  FileCall call = FileCall::kOpen;
  int countdown = 0;
  int error = 0;
  bool short_writes = false;
  bool interrupt_next = false;
  int interruptions = 0;
};

thread_local constinit Faults faults;

bool Fails(FileCall call) {
  if (!faults.armed || faults.call != call || --faults.countdown != 0) return false;
  errno = faults.error;
  return true;
}

template <class F>
F Real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace

ScopedFileFault::ScopedFileFault(FileCall call, int nth, int error) {
  faults = {.armed = true, .call = call, .countdown = nth, .error = error};
}
ScopedFileFault::~ScopedFileFault() { faults = {}; }
bool ScopedFileFault::happened() const { return faults.countdown <= 0; }

ScopedShortWrites::ScopedShortWrites() { faults = {.short_writes = true, .interrupt_next = true}; }
ScopedShortWrites::~ScopedShortWrites() { faults = {}; }
int ScopedShortWrites::interruptions() const { return faults.interruptions; }

}  // namespace device_key

using device_key::Fails;
using device_key::faults;
using device_key::FileCall;
using device_key::Real;

extern "C" {

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (Fails(FileCall::kOpen)) return -1;
  return Real<int (*)(int, const char*, int, ...)>("openat")(directory, path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  if (Fails(FileCall::kWrite)) return -1;
  if (faults.short_writes) {
    faults.interrupt_next = !faults.interrupt_next;
    if (!faults.interrupt_next) {
      ++faults.interruptions;
      errno = EINTR;
      return -1;
    }
    size = size < 1 ? size : 1;
  }
  return Real<ssize_t (*)(int, const void*, size_t)>("write")(fd, data, size);
}

int fsync(int fd) {
  if (Fails(FileCall::kSync)) return -1;
  return Real<int (*)(int)>("fsync")(fd);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  if (Fails(FileCall::kRename)) return -1;
  return Real<int (*)(int, const char*, int, const char*)>("renameat")(from_directory, from,
                                                                       to_directory, to);
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  if (Fails(FileCall::kUnlink)) return -1;
  return Real<int (*)(int, const char*, int)>("unlinkat")(directory, path, flags);
}

}  // extern "C"
