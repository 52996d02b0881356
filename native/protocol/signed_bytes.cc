#include "protocol/signed_bytes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "platform/error.h"

namespace device_key {

namespace {

using nlohmann::json;

// Whether `text` needs no escape in JSON.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c < '\x7f' && c != '"' && c != '\\'; });
}

// Writes one object without white space, with its members in the order in which they are added. A
// document of nlohmann/json takes four times as long.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;
  ~ObjectWriter() { out_ += '}'; }

  void Add(std::string_view name, std::string_view text) {
    AddName(name);
    AppendText(text);
  }
  void Add(std::string_view name, int64_t number) {
    AddName(name);
    out_ += std::to_string(number);
  }
  void Add(std::string_view name, const std::vector<std::string>& texts) {
    AddName(name);
    out_ += '[';
    for (const std::string& text : texts) {
      if (&text != &texts.front()) out_ += ',';
      AppendText(text);
    }
    out_ += ']';
  }
  // The caller appends the value.
  std::string& AddName(std::string_view name) {
    if (out_.back() != '{') out_ += ',';
    AppendText(name);
    return out_ += ':';
  }

 private:
  // nlohmann/json writes the escapes and rejects invalid UTF-8.
  void AppendText(std::string_view text) {
    if (IsPlain(text)) {
      out_.append(1, '"').append(text).append(1, '"');
    } else {
      out_ += json(text).dump();
    }
  }

  std::string& out_;
};

// Members sorted by name; test/vectors checks the order.
void AppendPayload(std::string& out, const ConnectionPayload& payload) {
  ObjectWriter object(out);
  object.Add("accountUserId", payload.account_user_id);
  object.Add("audience", ConnectionPayload::kAudience);
  object.Add("clientId", payload.client_id);
  object.Add("nonce", payload.nonce);
  object.Add("scopes", payload.scopes);
  object.Add("sessionId", payload.session_id);
  object.Add("targetOrigin", payload.target_origin);
  object.Add("targetPath", payload.target_path);
  object.Add("tokenExpiresAt", payload.token_expires_at);
  object.Add("tokenSha256Base64url", payload.token_sha256_base64url);
  object.Add("type", ConnectionPayload::kType);
}

void AppendPayload(std::string& out, const EnrollmentPayload& payload) {
  ObjectWriter object(out);
  object.Add("accountUserId", payload.account_user_id);
  object.Add("audience", EnrollmentPayload::kAudience);
  object.Add("challengeExpiresAt", payload.challenge_expires_at);
  object.Add("challengeId", payload.challenge_id);
  object.Add("clientId", payload.client_id);
  object.Add("deviceIdentitySha256Base64url", payload.device_identity_sha256_base64url);
  object.Add("nonce", payload.nonce);
  object.Add("targetOrigin", payload.target_origin);
  object.Add("targetPath", payload.target_path);
  object.Add("type", EnrollmentPayload::kType);
}

}  // namespace

std::string SignedBytes(const SignPayload& payload) {
  std::string bytes;
  bytes.reserve(1024);
  try {
    ObjectWriter document(bytes);
    document.Add("domain", kSignedBytesDomain);
    std::string& out = document.AddName("payload");
    std::visit([&](const auto& members) { AppendPayload(out, members); }, payload);
  } catch (const json::type_error&) {  // 316, whose message quotes the string
    throw DeviceKeyError(ErrorCode::kInvalidPayload, "payload: expected all strings in UTF-8");
  }
  return bytes;
}

}  // namespace device_key
