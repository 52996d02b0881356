// Valid records and payloads, which tests then modify.
#ifndef DEVICE_KEY_TEST_KEYSTORE_TEST_RECORDS_H_
#define DEVICE_KEY_TEST_KEYSTORE_TEST_RECORDS_H_

#include <string>

#include "crypto/base64.h"
#include "keystore/key_record.h"
#include "keystore/test_providers.h"
#include "protocol/types.h"

namespace device_key {

inline constexpr int64_t kNow = 1'700'000'000;

inline KeyRecord NewRecord() {
  return {.key_id = KeyId::Generate(ProtectionClass::kHardwareTpm),
          .provider = "software",
          .public_key_spki_der = SpkiOf(NewSoftwareKey().get()),
          .binding = AccountBinding{"account-1", "client-1"},
          .created_at = kNow,
          .handle = {{"slot", 7}}};
}

// For the account and client of NewRecord; valid for a minute from kNow.
inline ConnectionPayload NewConnection() {
  ConnectionPayload payload;
  payload.nonce = Base64UrlEncode(Bytes(32, 1));
  payload.session_id = "session-1";
  payload.target_origin = "https://chatgpt.com";
  payload.target_path = "/api/codex/remote/control/client";
  payload.account_user_id = "account-1";
  payload.client_id = "client-1";
  payload.token_expires_at = kNow + 60;
  payload.token_sha256_base64url = Base64UrlEncode(Bytes(32, 2));
  payload.scopes = {"remote_control_controller_websocket"};
  return payload;
}

// For a client of any account; valid for a minute from kNow.
inline EnrollmentPayload NewEnrollment(const std::string& account_user_id = "account-1") {
  EnrollmentPayload payload;
  payload.nonce = Base64UrlEncode(Bytes(32, 3));
  payload.challenge_id = "challenge-1";
  payload.target_origin = "https://chatgpt.com";
  payload.target_path = "/api/codex/remote/control/client/enroll";
  payload.account_user_id = account_user_id;
  payload.client_id = "client-1";
  payload.device_identity_sha256_base64url = Base64UrlEncode(Bytes(32, 4));
  payload.challenge_expires_at = kNow + 60;
  return payload;
}

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_KEYSTORE_TEST_RECORDS_H_
