// Writes a file that survives a power loss.
#ifndef DEVICE_KEY_TEST_BENCH_NATIVE_DURABLE_FILE_H_
#define DEVICE_KEY_TEST_BENCH_NATIVE_DURABLE_FILE_H_

#include <string>
#include <string_view>

namespace device_key::bench {

// Creates a new file in `directory`, which is complete and durable when this returns: temporary
// file, fsync, rename, fsync of the directory.
void WriteDurableFile(const std::string& directory, std::string_view contents);

}  // namespace device_key::bench

#endif  // DEVICE_KEY_TEST_BENCH_NATIVE_DURABLE_FILE_H_
