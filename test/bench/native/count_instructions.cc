// count_instructions counts the instructions of each pure operation separately, with `valgrind
// --tool=callgrind --collect-atstart=no`. Each dump has the operation's name as its trigger, and
// covers kRounds calls after one warm-up call. Prints kRounds.
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
