// One native contender of the benchmark, as a process.
//
//   bench_contender bare|store TCTI DIRECTORY
//
// Each line of standard input, `<operation> <count>`, gets one line in response: the nanoseconds of
// each of the `count` operations, separated by spaces.
#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "operations.h"

namespace {

using device_key::bench::Operations;

Operations OpenContender(const std::vector<std::string>& arguments) {
  if (arguments.size() == 3 && arguments[0] == "bare") {
    return device_key::bench::BareTpmOperations(arguments[1], arguments[2]);
  }
  if (arguments.size() == 3 && arguments[0] == "store") {
    return device_key::bench::NativeStoreOperations(arguments[1], arguments[2]);
  }
  throw std::invalid_argument("usage: bench_contender bare|store TCTI DIRECTORY");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Operations operations = OpenContender({argv + 1, argv + argc});
    std::string name;
    size_t count = 0;
    while (std::cin >> name >> count) {
      const auto& operation = operations.at(name);
      std::vector<std::chrono::nanoseconds> times(count);
      for (auto& time : times) {
        const auto start = std::chrono::steady_clock::now();
        operation();
        time = std::chrono::steady_clock::now() - start;
      }
      for (const auto time : times) std::cout << time.count() << ' ';
      std::cout << std::endl;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench_contender: " << error.what() << "\n";
    return 1;
  }
}
