// A POSIX file descriptor that closes itself.
#ifndef DEVICE_KEY_PLATFORM_UNIQUE_FD_H_
#define DEVICE_KEY_PLATFORM_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace device_key {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  // Not retried after EINTR: Linux has already closed the descriptor (close(2)), and another thread
  // may have got its number.
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_UNIQUE_FD_H_
