// Makes system calls on files fail on demand, as a full or broken disk would.
#ifndef DEVICE_KEY_TEST_PLATFORM_FILE_FAULTS_H_
#define DEVICE_KEY_TEST_PLATFORM_FILE_FAULTS_H_

namespace device_key {

enum class FileCall { kOpen, kWrite, kSync, kRename, kUnlink };

// While it lives, the `nth` call (from 1) of a kind on this thread fails with `error`; the others
// are real. The test executable defines these functions itself, ahead of the C library.
class ScopedFileFault {
 public:
  ScopedFileFault(FileCall call, int nth, int error);
  ~ScopedFileFault();
  ScopedFileFault(const ScopedFileFault&) = delete;
  ScopedFileFault& operator=(const ScopedFileFault&) = delete;

  // Whether the call that was to fail was made.
  bool happened() const;
};

// While it lives, each write takes one byte only, and every other one is interrupted first.
class ScopedShortWrites {
 public:
  ScopedShortWrites();
  ~ScopedShortWrites();
  ScopedShortWrites(const ScopedShortWrites&) = delete;
  ScopedShortWrites& operator=(const ScopedShortWrites&) = delete;

  int interruptions() const;
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PLATFORM_FILE_FAULTS_H_
