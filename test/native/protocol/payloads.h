// Valid payloads at the time kNow. Tests break one rule at a time.
#ifndef DEVICE_KEY_TEST_PROTOCOL_PAYLOADS_H_
#define DEVICE_KEY_TEST_PROTOCOL_PAYLOADS_H_

#include <cstdint>

#include "protocol/types.h"

namespace device_key {

inline constexpr int64_t kNow = 1'800'000'000;

inline ConnectionPayload GoodConnection() {
  return {
      .nonce = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
      .session_id = "wssess_01",
      .target_origin = "https://chatgpt.com",
      .target_path = "/api/codex/remote/control/client",
      .account_user_id = "user-7f3a",
      .client_id = "cli_42",
      .token_expires_at = kNow + 60,
      .token_sha256_base64url = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
      .scopes = {"remote_control_controller_websocket"},
  };
}

inline EnrollmentPayload GoodEnrollment() {
  return {
      .nonce = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
      .challenge_id = "rch_01",
      .target_origin = "https://chatgpt.com",
      .target_path = "/wham/remote/control/client/enroll",
      .account_user_id = "user-7f3a",
      .client_id = "cli_42",
      .device_identity_sha256_base64url = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
      .challenge_expires_at = kNow + 60,
  };
}

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PROTOCOL_PAYLOADS_H_
