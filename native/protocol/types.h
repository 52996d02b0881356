// The wire types of the device/key protocol, version 2, as C++ values.
#ifndef DEVICE_KEY_PROTOCOL_TYPES_H_
#define DEVICE_KEY_PROTOCOL_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "crypto/bytes.h"
#include "protocol/key_id.h"

namespace device_key {

// The only algorithm (wire type DeviceKeyAlgorithm).
inline constexpr std::string_view kAlgorithm = "ecdsa_p256_sha256";

// The weakest protection that a caller accepts (wire type DeviceKeyProtectionPolicy).
enum class ProtectionPolicy {
  kHardwareOnly,
  kAllowOsProtectedNonextractable,
};

struct CreateParams {
  std::string account_user_id;
  std::string client_id;
  ProtectionPolicy protection_policy = ProtectionPolicy::kHardwareOnly;
  bool operator==(const CreateParams&) const = default;
};

struct CreateUnboundParams {
  ProtectionPolicy protection_policy = ProtectionPolicy::kHardwareOnly;
};

// The protection class is the one that the key id names.
struct CreateResponse {
  KeyId key_id;
  Bytes public_key_spki_der;
};

struct PublicParams {
  KeyId key_id;
};

struct PublicResponse {
  KeyId key_id;
  Bytes public_key_spki_der;
};

// A client proves that it may open the connection `session_id`.
struct ConnectionPayload {
  static constexpr std::string_view kType = "remoteControlClientConnection";
  static constexpr std::string_view kAudience = "remote_control_client_websocket";

  std::string nonce;
  std::string session_id;
  std::string target_origin;
  std::string target_path;
  std::string account_user_id;
  std::string client_id;
  int64_t token_expires_at = 0;  // Unix seconds
  std::string token_sha256_base64url;
  std::vector<std::string> scopes;
  bool operator==(const ConnectionPayload&) const = default;
};

// A client answers the challenge `challenge_id` of a server that enrolls its key.
struct EnrollmentPayload {
  static constexpr std::string_view kType = "remoteControlClientEnrollment";
  static constexpr std::string_view kAudience = "remote_control_client_enrollment";

  std::string nonce;
  std::string challenge_id;
  std::string target_origin;
  std::string target_path;
  std::string account_user_id;
  std::string client_id;
  std::string device_identity_sha256_base64url;
  int64_t challenge_expires_at = 0;  // Unix seconds
  bool operator==(const EnrollmentPayload&) const = default;
};

using SignPayload = std::variant<ConnectionPayload, EnrollmentPayload>;

struct SignParams {
  KeyId key_id;
  SignPayload payload;
};

// A new key that signs only DPoP proofs (RFC 9449).
struct CreateDpopKeyParams {
  std::string client_id;
  std::vector<std::string> origins;  // where its proofs may go
  ProtectionPolicy protection_policy = ProtectionPolicy::kHardwareOnly;
};

// The contents of a DPoP proof (RFC 9449 section 4.2) except the time. Digests are SHA-256, in
// canonical, unpadded base64url.
struct DpopClaims {
  std::string htm;
  std::string htu;
  std::optional<std::string> nonce;
  std::optional<std::string> ath;  // of the access token
  std::optional<std::string> jti;  // of the authorization code; if absent, `jti` is random
};

struct SignDpopParams {
  KeyId key_id;
  DpopClaims claims;
};

// A backend's request to prove where a key is.
struct AttestParams {
  KeyId key_id;
  Bytes challenge;  // 32 to 64 bytes
};

// A backend's credential for the TPM that a key was attested in.
struct ActivateAttestationParams {
  KeyId key_id;
  Bytes credential_blob;   // TPM2B_ID_OBJECT
  Bytes encrypted_secret;  // TPM2B_ENCRYPTED_SECRET
};

struct SignResponse {
  Bytes signature_der;
  std::string signed_bytes;  // the result of SignedBytes()
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_TYPES_H_
