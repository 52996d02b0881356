#include "platform/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "platform/error.h"

namespace device_key {
namespace {

// macOS has no pipe2, which would set the flags atomically. A process that forks between the two
// calls inherits the pipe. That is harmless, because no such process writes to it.
void SetPipeFlags(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
}

}  // namespace

Interrupt::Interrupt() {
  int fds[2];
  if (pipe(fds) != 0) {
    throw DeviceKeyError(ErrorCode::kPlatformError, "could not make a pipe to interrupt waits: " +
                                                        std::generic_category().message(errno));
  }
  read_fd_ = fds[0];
  write_fd_ = fds[1];
  SetPipeFlags(read_fd_);
  SetPipeFlags(write_fd_);
}

Interrupt::~Interrupt() {
  close(read_fd_);
  close(write_fd_);
}

void Interrupt::Trigger() {
  if (triggered_.exchange(true, std::memory_order_acq_rel)) return;
  // Writing one byte to an empty pipe does not block. Only a signal can interrupt it.
  while (write(write_fd_, "", 1) < 0 && errno == EINTR) {
  }
}

}  // namespace device_key
