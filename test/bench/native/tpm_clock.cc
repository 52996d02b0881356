// A clock at the TPM's socket, for LD_PRELOAD. It measures the TPM's time in the same process whose
// whole signature is timed. The time in another process is no substitute: the same command takes
// longer when more threads share the processors.
//
// The time of a command is from the start of `send` to the end of the last `read` of the response;
// native/providers/tpm2/tpm_transport.cc uses these calls for a socket. The results go into the
// file that DEVICE_KEY_TPM_CLOCK names: the number of commands, then the nanoseconds of the latest
// commands, as many as fit. All are 64-bit numbers; command n is at n modulo the number of places.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define EXPORT __attribute__((visibility("default")))

namespace {

using Clock = std::chrono::steady_clock;

struct Record {
  std::atomic<uint64_t>* commands;
  std::atomic<uint64_t>* nanoseconds;
  size_t capacity;
};

[[noreturn]] void Fail(const char* what) {
  perror(what);
  abort();
}

Record MapRecord() {
  const char* const path = getenv("DEVICE_KEY_TPM_CLOCK");
  const int fd = path != nullptr ? open(path, O_RDWR | O_CLOEXEC) : -1;
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) Fail("tpm_clock: DEVICE_KEY_TPM_CLOCK");
  const auto size = static_cast<size_t>(status.st_size);
  // Populated, so that no command causes the first access to a page.
  void* const memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  if (memory == MAP_FAILED || size < 2 * sizeof(uint64_t)) Fail("tpm_clock: mmap");
  auto* const words = static_cast<std::atomic<uint64_t>*>(memory);
  return {words, words + 1, size / sizeof(uint64_t) - 1};
}

const Record& TheRecord() {
  static const Record record = MapRecord();
  return record;
}

template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// The last command that this thread has sent. A thread uses one TPM.
struct Command {
  int fd = -1;
  Clock::time_point start;
  std::atomic<uint64_t>* spent = nullptr;
};
thread_local Command command;

}  // namespace

extern "C" {

EXPORT ssize_t send(int fd, const void* data, size_t size, int flags) {
  static const auto next = Next<decltype(send)>("send");
  const Record& record = TheRecord();
  const uint64_t number = record.commands->fetch_add(1);
  command = {fd, Clock::now(), &record.nanoseconds[number % record.capacity]};
  return next(fd, data, size, flags);
}

EXPORT ssize_t read(int fd, void* data, size_t size) {
  static const auto next = Next<decltype(read)>("read");
  const ssize_t count = next(fd, data, size);
  if (fd == command.fd && count > 0) {
    // A response in several pieces ends with the last piece.
    command.spent->store((Clock::now() - command.start) / std::chrono::nanoseconds(1));
  }
  return count;
}

}  // extern "C"
