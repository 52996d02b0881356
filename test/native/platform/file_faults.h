// Makes file system calls fail on demand, as with a full or broken disk.
#ifndef DEVICE_KEY_TEST_PLATFORM_FILE_FAULTS_H_
#define DEVICE_KEY_TEST_PLATFORM_FILE_FAULTS_H_

namespace device_key {

enum class FileCall { kOpen, kWrite, kSync, kRename, kUnlink };

// While this object exists, the `nth` call (from 1) of a kind on this thread fails with `error`;
// the other calls are real. The test executable defines these functions itself, which takes
// precedence over the C library.
class ScopedFileFault {
 public:
  ScopedFileFault(FileCall call, int nth, int error);
  ~ScopedFileFault();
  ScopedFileFault(const ScopedFileFault&) = delete;
  ScopedFileFault& operator=(const ScopedFileFault&) = delete;

  // Whether the failing call was made.
  bool happened() const;
};

// While this object exists, each write writes only one byte, and every other write is interrupted
// first.
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
