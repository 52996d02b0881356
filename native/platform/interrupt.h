// A one-way switch that ends a wait on a device from another thread.
#ifndef DEVICE_KEY_PLATFORM_INTERRUPT_H_
#define DEVICE_KEY_PLATFORM_INTERRUPT_H_

#include <atomic>

namespace device_key {

// Triggered at most once, when the JavaScript environment that requested the work ends. A provider
// that waits for a device polls `wait_fd()` together with the device. When it becomes readable, the
// provider stops immediately and throws `closed`. Thread-safe.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void Trigger();
  bool triggered() const { return triggered_.load(std::memory_order_acquire); }

  // Readable once triggered. POSIX only; -1 where there is none.
  int wait_fd() const { return read_fd_; }

 private:
  std::atomic<bool> triggered_{false};
  int read_fd_ = -1;
  [[maybe_unused]] int write_fd_ = -1;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_INTERRUPT_H_
