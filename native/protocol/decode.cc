#include "protocol/decode.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/base64.h"
#include "crypto/sha256.h"
#include "platform/error.h"
#include "protocol/json_reader.h"
#include "protocol/signed_bytes.h"

namespace device_key {

namespace {

using nlohmann::json;

// Takes the members of one object by name and type.
class Members {
 public:
  // `path` ("" or "payload.") precedes the names in messages.
  Members(json& object, std::string_view path, ErrorCode code)
      : object_(object), path_(path), code_(code) {}

  json* Find(std::string_view name) {
    const auto member = object_.find(name);
    return member == object_.end() ? nullptr : &*member;
  }

  [[noreturn]] void Refuse(std::string_view name, const std::string& expected) const {
    throw DeviceKeyError(code_, path_ + std::string(name) + ": expected " + expected);
  }

  std::string TakeString(std::string_view name) {
    json* member = Find(name);
    if (member == nullptr || !member->is_string()) Refuse(name, "a string");
    return std::move(member->get_ref<std::string&>());
  }

  std::optional<std::string> TakeOptionalString(std::string_view name) {
    if (Find(name) == nullptr) return std::nullopt;
    return TakeString(name);
  }

  // The digest of a token or code, in base64url. RFC 6749 (appendix A: VSCHAR) has them in
  // printable ASCII.
  std::optional<std::string> TakeOptionalDigestOf(std::string_view name) {
    const std::optional<std::string> text = TakeOptionalString(name);
    if (!text) return std::nullopt;
    if (text->empty() ||
        !std::all_of(text->begin(), text->end(), [](char c) { return c >= ' ' && c < '\x7f'; })) {
      Refuse(name, "one or more printable ASCII characters");
    }
    return Base64UrlEncode(Sha256(AsBytes(*text)));
  }

  Bytes TakeBase64(std::string_view name) {
    std::optional<Bytes> bytes = Base64Decode(TakeString(name));
    if (!bytes) Refuse(name, "canonical, padded base64");
    return *std::move(bytes);
  }

  int64_t TakeUnixSeconds(std::string_view name) {
    const json* member = Find(name);
    const std::optional<int64_t> value = member ? Int64Value(*member) : std::nullopt;
    if (!value) Refuse(name, "an integer of Unix seconds (int64)");
    return *value;
  }

  std::vector<std::string> TakeStrings(std::string_view name) {
    json* member = Find(name);
    if (member == nullptr || !member->is_array()) Refuse(name, "an array of strings");
    std::vector<std::string> strings;
    for (json& element : *member) {
      if (!element.is_string()) Refuse(name, "an array of strings");
      strings.push_back(std::move(element.get_ref<std::string&>()));
    }
    return strings;
  }

  void RequireConstant(std::string_view name, std::string_view value) {
    const json* member = Find(name);
    if (member == nullptr || !member->is_string() ||
        member->get_ref<const std::string&>() != value) {
      Refuse(name, '"' + std::string(value) + '"');
    }
  }

 private:
  json& object_;
  std::string path_;
  ErrorCode code_;
};

json ReadParams(std::string_view json_text) {
  json params = ReadJson(json_text);
  if (!params.is_object()) {
    throw DeviceKeyError(ErrorCode::kInvalidParams, "expected the params as a JSON object");
  }
  return params;
}

KeyId TakeKeyId(Members& params) {
  std::optional<KeyId> key_id = KeyId::Parse(params.TakeString("keyId"));
  if (!key_id) {
    params.Refuse("keyId",
                  "a key id as returned by device/key/create: dk_hse_, dk_tpm_ or dk_osn_ and 43 "
                  "characters of base64url");
  }
  return *std::move(key_id);
}

ProtectionPolicy TakeProtectionPolicy(Members& params) {
  const json* policy = params.Find("protectionPolicy");
  if (policy == nullptr || policy->is_null() || *policy == "hardware_only") {
    return ProtectionPolicy::kHardwareOnly;
  }
  if (*policy != "allow_os_protected_nonextractable") {
    params.Refuse("protectionPolicy",
                  "\"hardware_only\", \"allow_os_protected_nonextractable\" or null");
  }
  return ProtectionPolicy::kAllowOsProtectedNonextractable;
}

ConnectionPayload TakeConnection(Members& payload) {
  payload.RequireConstant("audience", ConnectionPayload::kAudience);
  return {
      .nonce = payload.TakeString("nonce"),
      .session_id = payload.TakeString("sessionId"),
      .target_origin = payload.TakeString("targetOrigin"),
      .target_path = payload.TakeString("targetPath"),
      .account_user_id = payload.TakeString("accountUserId"),
      .client_id = payload.TakeString("clientId"),
      .token_expires_at = payload.TakeUnixSeconds("tokenExpiresAt"),
      .token_sha256_base64url = payload.TakeString("tokenSha256Base64url"),
      .scopes = payload.TakeStrings("scopes"),
  };
}

EnrollmentPayload TakeEnrollment(Members& payload) {
  payload.RequireConstant("audience", EnrollmentPayload::kAudience);
  return {
      .nonce = payload.TakeString("nonce"),
      .challenge_id = payload.TakeString("challengeId"),
      .target_origin = payload.TakeString("targetOrigin"),
      .target_path = payload.TakeString("targetPath"),
      .account_user_id = payload.TakeString("accountUserId"),
      .client_id = payload.TakeString("clientId"),
      .device_identity_sha256_base64url = payload.TakeString("deviceIdentitySha256Base64url"),
      .challenge_expires_at = payload.TakeUnixSeconds("challengeExpiresAt"),
  };
}

SignPayload TakePayload(Members& params) {
  json* object = params.Find("payload");
  if (object == nullptr || !object->is_object()) params.Refuse("payload", "an object");
  Members payload(*object, "payload.", ErrorCode::kInvalidPayload);
  const json* type = payload.Find("type");
  if (type != nullptr && *type == ConnectionPayload::kType) return TakeConnection(payload);
  if (type != nullptr && *type == EnrollmentPayload::kType) return TakeEnrollment(payload);
  payload.Refuse("type", '"' + std::string(ConnectionPayload::kType) + "\" or \"" +
                             std::string(EnrollmentPayload::kType) + '"');
}

[[noreturn]] void RefuseSignedBytes(const std::string& expected) {
  throw DeviceKeyError(ErrorCode::kInvalidPayload, "signed payload: expected " + expected);
}

json ReadSignedBytes(std::string_view signed_bytes) {
  try {
    return ReadJson(signed_bytes);
  } catch (const DeviceKeyError& error) {
    throw DeviceKeyError(ErrorCode::kInvalidPayload,
                         std::string("signed payload: ") + error.what());
  }
}

SignPayload DecodeSignedBytes(std::string_view signed_bytes) {
  json document = ReadSignedBytes(signed_bytes);
  if (!document.is_object()) RefuseSignedBytes("a JSON object with a domain and a payload");
  Members members(document, "signed payload: ", ErrorCode::kInvalidPayload);
  members.RequireConstant("domain", kSignedBytesDomain);
  SignPayload payload = TakePayload(members);
  if (SignedBytes(payload) != signed_bytes) {
    RefuseSignedBytes(
        "the canonical form: members sorted, none but those of the type, no white space, no "
        "escapes but those that JSON demands");
  }
  return payload;
}

}  // namespace

CreateParams DecodeCreateParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  return {
      .account_user_id = params.TakeString("accountUserId"),
      .client_id = params.TakeString("clientId"),
      .protection_policy = TakeProtectionPolicy(params),
  };
}

PublicParams DecodePublicParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  return {.key_id = TakeKeyId(params)};
}

SignParams DecodeSignParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  return {.key_id = TakeKeyId(params), .payload = TakePayload(params)};
}

CreateUnboundParams DecodeCreateUnboundParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  return {.protection_policy = TakeProtectionPolicy(params)};
}

SignParams DecodeSignBytesParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  KeyId key_id = TakeKeyId(params);
  const Bytes bytes = params.TakeBase64("signedPayloadBase64");
  return {
      .key_id = std::move(key_id),
      .payload = DecodeSignedBytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()})};
}

CreateDpopKeyParams DecodeCreateDpopKeyParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  return {.client_id = params.TakeString("clientId"),
          .origins = params.TakeStrings("origins"),
          .protection_policy = TakeProtectionPolicy(params)};
}

SignDpopParams DecodeSignDpopParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  KeyId key_id = TakeKeyId(params);
  DpopClaims claims{.htm = params.TakeString("htm"),
                    .htu = params.TakeString("htu"),
                    .nonce = params.TakeOptionalString("nonce"),
                    .ath = params.TakeOptionalDigestOf("accessToken"),
                    .jti = params.TakeOptionalDigestOf("authorizationCode")};
  if (auto digest = params.TakeOptionalString("accessTokenSha256Base64url")) {
    if (claims.ath) params.Refuse("accessTokenSha256Base64url", "none beside accessToken");
    claims.ath = std::move(digest);
  }
  return {.key_id = std::move(key_id), .claims = std::move(claims)};
}

AttestParams DecodeAttestParams(std::string_view json_text) {
  constexpr size_t kMinChallengeBytes = 32;
  constexpr size_t kMaxChallengeBytes = 64;
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  KeyId key_id = TakeKeyId(params);
  std::optional<Bytes> challenge = Base64UrlDecode(params.TakeString("challenge"));
  if (!challenge || challenge->size() < kMinChallengeBytes ||
      challenge->size() > kMaxChallengeBytes) {
    params.Refuse("challenge", "canonical unpadded base64url of 32 to 64 bytes");
  }
  return {.key_id = std::move(key_id), .challenge = *std::move(challenge)};
}

ActivateAttestationParams DecodeActivateAttestationParams(std::string_view json_text) {
  json object = ReadParams(json_text);
  Members params(object, "", ErrorCode::kInvalidParams);
  return {.key_id = TakeKeyId(params),
          .credential_blob = params.TakeBase64("credentialBlob"),
          .encrypted_secret = params.TakeBase64("encryptedSecret")};
}

}  // namespace device_key
