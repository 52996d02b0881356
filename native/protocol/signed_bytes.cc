#include "protocol/signed_bytes.h"

#include <nlohmann/json.hpp>

#include "platform/error.h"

namespace device_key {

namespace {

using nlohmann::json;

// Filled member by member: an initializer list of json would first make an array of each pair.
json PayloadDocument(const ConnectionPayload& payload) {
  json document;
  document["type"] = ConnectionPayload::kType;
  document["nonce"] = payload.nonce;
  document["audience"] = ConnectionPayload::kAudience;
  document["sessionId"] = payload.session_id;
  document["targetOrigin"] = payload.target_origin;
  document["targetPath"] = payload.target_path;
  document["accountUserId"] = payload.account_user_id;
  document["clientId"] = payload.client_id;
  document["tokenExpiresAt"] = payload.token_expires_at;
  document["tokenSha256Base64url"] = payload.token_sha256_base64url;
  document["scopes"] = payload.scopes;
  return document;
}

json PayloadDocument(const EnrollmentPayload& payload) {
  json document;
  document["type"] = EnrollmentPayload::kType;
  document["nonce"] = payload.nonce;
  document["audience"] = EnrollmentPayload::kAudience;
  document["challengeId"] = payload.challenge_id;
  document["targetOrigin"] = payload.target_origin;
  document["targetPath"] = payload.target_path;
  document["accountUserId"] = payload.account_user_id;
  document["clientId"] = payload.client_id;
  document["deviceIdentitySha256Base64url"] = payload.device_identity_sha256_base64url;
  document["challengeExpiresAt"] = payload.challenge_expires_at;
  return document;
}

}  // namespace

std::string SignedBytes(const SignPayload& payload) {
  json document;
  document["domain"] = kSignedBytesDomain;
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
