// What the benchmarks' native programs time and count.
#ifndef DEVICE_KEY_TEST_BENCH_NATIVE_OPERATIONS_H_
#define DEVICE_KEY_TEST_BENCH_NATIVE_OPERATIONS_H_

#include <functional>
#include <map>
#include <string>

namespace device_key::bench {

// By name; each call is one operation.
using Operations = std::map<std::string, std::function<void()>>;

// The parts of a signature that wait for nothing.
Operations PureOperations();

// ESYS by itself, with nothing around it. `tcti` as for Tss2_TctiLdr_Initialize; `directory` is for
// the one operation that writes files.
Operations BareTpmOperations(const std::string& tcti, const std::string& directory);

// DeviceKeyStore, called on the thread that waits for it.
Operations NativeStoreOperations(const std::string& tcti, const std::string& directory);

}  // namespace device_key::bench

#endif  // DEVICE_KEY_TEST_BENCH_NATIVE_OPERATIONS_H_
