#include "protocol/rules.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crypto/base64.h"
#include "platform/error.h"
#include "protocol/origin.h"

namespace device_key {

namespace {

constexpr size_t kMinNonceBytes = 32;
constexpr size_t kDigestBytes = 32;
constexpr std::string_view kConnectionScope = "remote_control_controller_websocket";

[[noreturn]] void RefusePayload(std::string_view member, const std::string& expected) {
  throw DeviceKeyError(ErrorCode::kInvalidPayload,
                       "payload." + std::string(member) + ": expected " + expected);
}

void CheckNotEmpty(std::string_view member, std::string_view value) {
  if (value.empty()) RefusePayload(member, "a string that is not empty");
}

constexpr std::string_view kOwnerIdForm = "a string that is not empty and has no NUL";

// Whether `id` can be an accountUserId or a clientId. A NUL separates the two in what a TPM key's
// authValue is derived from.
bool IsOwnerId(std::string_view id) {
  return !id.empty() && id.find('\0') == std::string_view::npos;
}

void CheckPayloadOwner(std::string_view member, std::string_view id) {
  if (!IsOwnerId(id)) RefusePayload(member, std::string(kOwnerIdForm));
}

void CheckNonce(std::string_view nonce) {
  const std::optional<Bytes> bytes = Base64UrlDecode(nonce);
  if (!bytes || bytes->size() < kMinNonceBytes) {
    RefusePayload("nonce", "at least 32 random bytes in canonical, unpadded base64url");
  }
}

void CheckDigest(std::string_view member, std::string_view digest) {
  const std::optional<Bytes> bytes = Base64UrlDecode(digest);
  if (!bytes || bytes->size() != kDigestBytes) {
    RefusePayload(member, "a SHA-256 digest (32 bytes) in canonical, unpadded base64url");
  }
}

void CheckOrigin(std::string_view text, const TargetPolicy& policy) {
  const std::optional<Origin> origin = ParseOrigin(text);
  if (!origin) {
    RefusePayload("targetOrigin",
                  "an origin in its canonical form: http or https, \"://\" and a host in lower "
                  "case; no user info, path or final slash; never the default port");
  }
  if (!policy.AllowsOrigin(*origin)) {
    RefusePayload("targetOrigin", "an origin that the target policy allows");
  }
}

void CheckPath(std::string_view path, const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), path) == allowed.end()) {
    RefusePayload("targetPath", "a path that the target policy allows for this type of payload");
  }
}

// `expiry` must be after `now`, and at most `max_lifetime` seconds after it if that is given.
void CheckExpiry(std::string_view member, int64_t expiry, int64_t now,
                 std::optional<int64_t> max_lifetime) {
  if (expiry <= now) RefusePayload(member, "a time in the future (Unix seconds); it has expired");
  // Unsigned, because the difference of two int64 can overflow an int64.
  const uint64_t lifetime = static_cast<uint64_t>(expiry) - static_cast<uint64_t>(now);
  if (max_lifetime && lifetime > static_cast<uint64_t>(*max_lifetime)) {
    RefusePayload(member, "a time (Unix seconds) at most " + std::to_string(*max_lifetime) +
                              " seconds ahead; is the clock of this machine right?");
  }
}

void CheckExpiryOf(const ConnectionPayload& payload, int64_t now,
                   std::optional<int64_t> max_lifetime) {
  CheckExpiry("tokenExpiresAt", payload.token_expires_at, now, max_lifetime);
}

void CheckExpiryOf(const EnrollmentPayload& payload, int64_t now,
                   std::optional<int64_t> max_lifetime) {
  CheckExpiry("challengeExpiresAt", payload.challenge_expires_at, now, max_lifetime);
}

void CheckOwnMembers(const ConnectionPayload& payload, const TargetPolicy& policy) {
  CheckNotEmpty("sessionId", payload.session_id);
  CheckDigest("tokenSha256Base64url", payload.token_sha256_base64url);
  if (payload.scopes.size() != 1 || payload.scopes.front() != kConnectionScope) {
    RefusePayload("scopes", "exactly [\"" + std::string(kConnectionScope) + "\"]");
  }
  CheckPath(payload.target_path, policy.connection_paths);
}

void CheckOwnMembers(const EnrollmentPayload& payload, const TargetPolicy& policy) {
  CheckNotEmpty("challengeId", payload.challenge_id);
  CheckDigest("deviceIdentitySha256Base64url", payload.device_identity_sha256_base64url);
  CheckPath(payload.target_path, policy.enrollment_paths);
}

void CheckCreateOwner(std::string_view member, std::string_view id) {
  if (IsOwnerId(id)) return;
  throw DeviceKeyError(ErrorCode::kInvalidParams,
                       std::string(member) + ": expected " + std::string(kOwnerIdForm));
}

void CheckBound(std::string_view member, std::string_view value, std::string_view enrolled) {
  if (value != enrolled) {
    throw DeviceKeyError(
        ErrorCode::kBindingMismatch,
        "payload." + std::string(member) +
            ": expected the one that the key was enrolled for; enroll a key for this account and "
            "client, or use theirs");
  }
}

}  // namespace

void CheckCreateParams(const CreateParams& params) {
  CheckCreateOwner("accountUserId", params.account_user_id);
  CheckCreateOwner("clientId", params.client_id);
}

void CheckSignPayload(const SignPayload& payload, const TargetPolicy& policy,
                      int64_t now_unix_seconds) {
  std::visit(
      [&](const auto& members) {
        CheckNonce(members.nonce);
        CheckPayloadOwner("accountUserId", members.account_user_id);
        CheckPayloadOwner("clientId", members.client_id);
        CheckOrigin(members.target_origin, policy);
        CheckOwnMembers(members, policy);
        CheckExpiryOf(members, now_unix_seconds, policy.max_lifetime_seconds);
      },
      payload);
}

void CheckPayloadBinding(const SignPayload& payload, std::string_view account_user_id,
                         std::string_view client_id) {
  std::visit(
      [&](const auto& members) {
        CheckBound("accountUserId", members.account_user_id, account_user_id);
        CheckBound("clientId", members.client_id, client_id);
      },
      payload);
}

void CheckNotExpired(const SignPayload& payload, int64_t now_unix_seconds) {
  std::visit([&](const auto& members) { CheckExpiryOf(members, now_unix_seconds, std::nullopt); },
             payload);
}

}  // namespace device_key
