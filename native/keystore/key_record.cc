#include "keystore/key_record.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "crypto/base64.h"
#include "platform/error.h"
#include "platform/private_directory.h"
#include "protocol/json_reader.h"

namespace device_key {
namespace {

constexpr int64_t kVersion = 1;

// Reads the members of one record; every error names the file and the member.
class Reader {
 public:
  Reader(std::string_view text, const std::string& file) : file_(file), record_(Parse(text)) {
    if (!record_.is_object()) Fail("it is not a JSON object");
  }

  [[noreturn]] void Fail(const std::string& reason) const {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt, "the key record " + file_ + " cannot be used: " +
                                                       reason + ". It has been left as it is");
  }

  const nlohmann::json& Member(const char* name) const {
    const auto member = record_.find(name);
    if (member == record_.end()) Fail(std::string("the member ") + name + " is missing");
    return *member;
  }

  int64_t Integer(const char* name) const {
    const nlohmann::json& member = Member(name);
    // Unsigned numbers above the range of int64_t would wrap around.
    if (!member.is_number_integer() ||
        (member.is_number_unsigned() && member.get<uint64_t>() > INT64_MAX) ||
        member.get<int64_t>() < 0) {
      Fail(std::string("the member ") + name + " is not a non-negative integer");
    }
    return member.get<int64_t>();
  }

  std::string Text(const char* name) const {
    const nlohmann::json& member = Member(name);
    if (!member.is_string() || member.get_ref<const std::string&>().empty()) {
      Fail(std::string("the member ") + name + " is not a non-empty string");
    }
    return member.get<std::string>();
  }

  // Null stands for the empty text.
  std::string TextOrEmpty(const char* name) const {
    return Member(name).is_null() ? std::string() : Text(name);
  }

  // The member must have the value that something else (the file's name) determines.
  void Expect(const char* name, std::string_view expected) const {
    if (Text(name) != expected) {
      Fail(std::string("the member ") + name + " is not " + std::string(expected) +
           ", which the name of the file asks for");
    }
  }

  Bytes Base64(const char* name) const {
    std::optional<Bytes> bytes = Base64Decode(Text(name));
    if (!bytes) Fail(std::string("the member ") + name + " is not base64");
    return *std::move(bytes);
  }

 private:
  nlohmann::json Parse(std::string_view text) const {
    try {
      return ReadJson(text);
    } catch (const DeviceKeyError& error) {
      Fail(error.what());
    }
  }

  const std::string& file_;
  const nlohmann::json record_;
};

bool DiffersOnlyInCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a != b && std::equal(a.begin(), a.end(), b.begin(), b.end(),
                              [&](char x, char y) { return lower(x) == lower(y); });
}

nlohmann::ordered_json TextOrNull(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

}  // namespace

std::string EncodeKeyRecord(const KeyRecord& record) {
  const nlohmann::ordered_json json = {
      {"version", kVersion},
      {"keyId", record.key_id.str()},
      {"provider", record.provider},
      {"protectionClass", ProtectionClassName(record.key_id.protection_class())},
      {"publicKeySpkiDerBase64", Base64Encode(record.public_key_spki_der)},
      {"accountUserId", TextOrNull(record.binding.account_user_id)},
      {"clientId", TextOrNull(record.binding.client_id)},
      {"createdAt", record.created_at},
      {"handle", record.handle},
  };
  try {
    std::string text = json.dump(2) + "\n";
    // Never write a record that is too long to read. Only the two ids can be that long.
    if (text.size() <= PrivateDirectory::kMaxFileBytes) return text;
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "accountUserId, clientId: expected strings that fit a key record, which "
                         "has at most " +
                             std::to_string(PrivateDirectory::kMaxFileBytes) + " bytes");
  } catch (const nlohmann::json::exception&) {
    // Its own message would quote the string.
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "a key record is JSON: accountUserId and clientId must be UTF-8");
  }
}

KeyRecord DecodeKeyRecord(std::string_view text, const KeyId& key_id, const std::string& file) {
  const Reader reader(text, file);
  // First, since a newer version may have renamed or retyped everything else.
  const int64_t version = reader.Integer("version");
  if (version > kVersion) {
    reader.Fail("it was written by a newer version of node-device-key (record version " +
                std::to_string(version) + ", this one reads up to " + std::to_string(kVersion) +
                "), so update node-device-key");
  }
  if (version < kVersion) reader.Fail("there is no record version " + std::to_string(version));

  KeyBinding binding{.account_user_id = reader.TextOrEmpty("accountUserId"),
                     .client_id = reader.TextOrEmpty("clientId")};
  if (binding.account_user_id.empty() != binding.client_id.empty()) {
    reader.Fail("only one of the members accountUserId and clientId is null");
  }
  // A file system that ignores case, which is the default of macOS and Windows, opens the record of
  // such an id.
  if (const std::string found = reader.Text("keyId"); DiffersOnlyInCase(found, key_id.str())) {
    throw DeviceKeyError(ErrorCode::kKeyNotFound, "there is no key " + key_id.str() +
                                                      ", but there is " + found +
                                                      ": upper and lower case matter in a key id");
  }
  reader.Expect("keyId", key_id.str());
  reader.Expect("protectionClass", ProtectionClassName(key_id.protection_class()));
  return {.key_id = key_id,
          .provider = reader.Text("provider"),
          .public_key_spki_der = reader.Base64("publicKeySpkiDerBase64"),
          .binding = std::move(binding),
          .created_at = reader.Integer("createdAt"),
          .handle = reader.Member("handle")};
}

}  // namespace device_key
