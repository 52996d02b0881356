// Many threads, and many keys one after the other.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "providers/tpm2_fixture.h"

namespace device_key {
namespace {

class Tpm2ManyTest : public Tpm2Test {};

TEST_F(Tpm2ManyTest, ThreadsWithDifferentKeysShareOneTpm) {
  constexpr int kThreads = 4;
  constexpr int kSignatures = 200;
  const auto one = NewProvider();
  const auto other = NewProvider();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i, provider = i % 2 == 0 ? one.get() : other.get()] {
      const TestKey key = CreateKey(*provider, {"account", "client-" + std::to_string(i)});
      for (int n = 0; n < kSignatures; ++n) {
        EXPECT_TRUE(SignsRightly(*provider, key, std::to_string(n)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Tpm2ManyTest, StaysConnectedAsLongAsOneProviderLives) {
  auto one = NewProvider();
  const auto other = NewProvider();
  const TestKey key = CreateKey(*one);

  one.reset();

  EXPECT_TRUE(SignsRightly(*other, key));
}

// DEVICE_KEY_TEST_CYCLES sets another number of cycles, for LeakSanitizer.
TEST_F(Tpm2ManyTest, CyclesOfCreatingSigningAndDeletingLeaveNothing) {
  const char* variable = std::getenv("DEVICE_KEY_TEST_CYCLES");
  const int cycles = variable != nullptr ? std::atoi(variable) : 50;
  auto provider = NewProvider();

  for (int i = 0; i < cycles; ++i) {
    const TestKey key = CreateKey(*provider);
    ASSERT_TRUE(SignsRightly(*provider, key));
    provider->Delete(key.id, key.key.handle, Soon());
  }

  provider.reset();
  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
  EXPECT_EQ(tpm_.Capability("handles-loaded-session"), "");
}

}  // namespace
}  // namespace device_key
