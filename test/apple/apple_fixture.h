// Resets the Mac for each test, and checks at its end that no CoreFoundation object leaked.
#ifndef DEVICE_KEY_TEST_APPLE_APPLE_FIXTURE_H_
#define DEVICE_KEY_TEST_APPLE_APPLE_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "crypto/p256.h"
#include "providers/key_provider.h"
#include "security_stand_in.h"

namespace device_key {

inline OperationLimits NoHurry() {
  return {.deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5)};
}

inline DeviceKeyError ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const DeviceKeyError& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return DeviceKeyError(ErrorCode::kPlatformError, "");
}

class AppleTest : public testing::Test {
 protected:
  void SetUp() override {
    stand_in::Reset();
    before_ = stand_in::LiveObjects();
  }
  void TearDown() override { EXPECT_FALSE(AnyLeaked()) << "leaked CF objects"; }

  static bool AnyLeaked() { return stand_in::LiveObjects() != before_; }

  // Waits for work that continues after its caller has stopped waiting. Fails after five seconds.
  static void WaitUntil(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 1000; ++tries) {
      if (condition()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "the condition did not become true";
  }

  static ProviderKey Create(KeyProvider& provider, const KeyId& id) {
    return provider.Create(id, {}, NoHurry());
  }
  static Bytes Sign(KeyProvider& provider, const KeyId& id, const nlohmann::json& handle) {
    return provider.Sign(id, handle, {}, kDigest, NoHurry());
  }
  static bool Verifies(const ProviderKey& key, const Bytes& signature) {
    return P256PublicKey::FromSpki(key.spki_der).Verify(kDigest, signature);
  }

  static constexpr Sha256Digest kDigest{7};

 private:
  inline static size_t before_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_APPLE_APPLE_FIXTURE_H_
