// The operations that the benchmarks' native programs time and count.
#ifndef DEVICE_KEY_TEST_BENCH_NATIVE_OPERATIONS_H_
#define DEVICE_KEY_TEST_BENCH_NATIVE_OPERATIONS_H_

#include <functional>
#include <map>
#include <string>

namespace device_key::bench {

// By name; one call is one operation.
using Operations = std::map<std::string, std::function<void()>>;

// The parts of a signature without I/O.
Operations PureOperations();

// ESYS alone. `tcti` as for Tss2_TctiLdr_Initialize; `directory` is for the operation that writes
// files.
Operations BareTpmOperations(const std::string& tcti, const std::string& directory);

// DeviceKeyStore, called on the thread that waits for the result.
Operations NativeStoreOperations(const std::string& tcti, const std::string& directory);

}  // namespace device_key::bench

#endif  // DEVICE_KEY_TEST_BENCH_NATIVE_OPERATIONS_H_
