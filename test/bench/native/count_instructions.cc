// count_instructions: under `valgrind --tool=callgrind --collect-atstart=no` each pure operation is
// counted alone, and dumped with its name as the trigger: the instructions of kRounds calls, after
// one that warms up. Prints kRounds.
#include <valgrind/callgrind.h>

#include <cstdio>

#include "operations.h"

namespace {

constexpr int kRounds = 20;

}  // namespace

int main() {
  for (const auto& [name, operation] : device_key::bench::PureOperations()) {
    operation();
    CALLGRIND_TOGGLE_COLLECT;
    for (int i = 0; i < kRounds; ++i) operation();
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(name.c_str());
  }
  std::printf("%d\n", kRounds);
}
