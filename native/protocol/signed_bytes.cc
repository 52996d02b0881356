#include "protocol/signed_bytes.h"

#include <nlohmann/json.hpp>

#include "platform/error.h"

namespace device_key {

namespace {

using nlohmann::json;

json PayloadDocument(const ConnectionPayload& payload) {
  return {
      {"type", ConnectionPayload::kType},
      {"nonce", payload.nonce},
      {"audience", ConnectionPayload::kAudience},
      {"sessionId", payload.session_id},
      {"targetOrigin", payload.target_origin},
      {"targetPath", payload.target_path},
      {"accountUserId", payload.account_user_id},
      {"clientId", payload.client_id},
      {"tokenExpiresAt", payload.token_expires_at},
      {"tokenSha256Base64url", payload.token_sha256_base64url},
      {"scopes", payload.scopes},
  };
}

json PayloadDocument(const EnrollmentPayload& payload) {
  return {
      {"type", EnrollmentPayload::kType},
      {"nonce", payload.nonce},
      {"audience", EnrollmentPayload::kAudience},
      {"challengeId", payload.challenge_id},
      {"targetOrigin", payload.target_origin},
      {"targetPath", payload.target_path},
      {"accountUserId", payload.account_user_id},
      {"clientId", payload.client_id},
      {"deviceIdentitySha256Base64url", payload.device_identity_sha256_base64url},
      {"challengeExpiresAt", payload.challenge_expires_at},
  };
}

}  // namespace

std::string SignedBytes(const SignPayload& payload) {
  json document;
  document["domain"] = "codex-device-key-sign-payload/v1";
  document["payload"] =
      std::visit([](const auto& members) { return PayloadDocument(members); }, payload);
  // nlohmann::json keeps members in a std::map, so dump() writes them sorted; test/vectors holds it
  // to that and to its escapes.
  try {
    return document.dump();
  } catch (const json::type_error&) {  // 316, whose message quotes the string
    throw DeviceKeyError(ErrorCode::kInvalidPayload, "payload: expected all strings in UTF-8");
  }
}

}  // namespace device_key
