// What a file costs that has to survive a loss of power.
#ifndef DEVICE_KEY_TEST_BENCH_NATIVE_DURABLE_FILE_H_
#define DEVICE_KEY_TEST_BENCH_NATIVE_DURABLE_FILE_H_

#include <string>
#include <string_view>

namespace device_key::bench {

// Makes a new file in `directory`, complete and durable when this returns: a temporary file, fsync,
// rename, fsync of the directory.
void WriteDurableFile(const std::string& directory, std::string_view contents);

}  // namespace device_key::bench

#endif  // DEVICE_KEY_TEST_BENCH_NATIVE_DURABLE_FILE_H_
