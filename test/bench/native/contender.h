// What the native contenders have in common.
#ifndef DEVICE_KEY_TEST_BENCH_NATIVE_CONTENDER_H_
#define DEVICE_KEY_TEST_BENCH_NATIVE_CONTENDER_H_

#include <functional>
#include <map>
#include <string>

namespace device_key::bench {

// By name; each call is one operation to be timed.
using Operations = std::map<std::string, std::function<void()>>;

// ESYS by itself, with nothing around it. `tcti` as for Tss2_TctiLdr_Initialize.
Operations BareTpmOperations(const std::string& tcti);

// DeviceKeyStore, called on the thread that waits for it.
Operations StoreOperations(const std::string& tcti, const std::string& directory);

}  // namespace device_key::bench

#endif  // DEVICE_KEY_TEST_BENCH_NATIVE_CONTENDER_H_
