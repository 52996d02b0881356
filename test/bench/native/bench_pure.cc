// The parts of a signature without I/O, measured with Google Benchmark.
#include <benchmark/benchmark.h>

#include "operations.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const auto& [name, operation] : device_key::bench::PureOperations()) {
    benchmark::RegisterBenchmark(name.c_str(), [operation = operation](benchmark::State& state) {
      for (auto _ : state) operation();
    });
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
