#include "platform/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "platform/error.h"

namespace device_key {
namespace {

// pipe2 would do both at once but macOS has none. The flags matter to a process that forks at this
// very moment only: it would inherit a pipe that nobody writes to.
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
  // An empty pipe takes one byte without blocking; only a signal can get in between.
  while (write(write_fd_, "", 1) < 0 && errno == EINTR) {
  }
}

}  // namespace device_key
