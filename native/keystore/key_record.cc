#include "keystore/key_record.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "crypto/base64.h"
#include "platform/error.h"
#include "platform/private_directory.h"
#include "protocol/json_reader.h"

namespace device_key {
namespace {

constexpr int64_t kAccountVersion = 1;
constexpr int64_t kDpopVersion = 2;
constexpr int64_t kNewestVersion = kDpopVersion;
constexpr char kDpopUse[] = "dpop";

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

  std::vector<std::string> Texts(const char* name) const {
    const nlohmann::json& member = Member(name);
    std::vector<std::string> texts;
    if (member.is_array()) {
      for (const nlohmann::json& element : member) {
        if (!element.is_string()) break;
        texts.push_back(element.get<std::string>());
      }
    }
    if (texts.empty() || texts.size() != member.size()) {
      Fail(std::string("the member ") + name + " is not an array of strings");
    }
    return texts;
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

void AddBinding(nlohmann::ordered_json& json, const AccountBinding& binding) {
  json["accountUserId"] = TextOrNull(binding.account_user_id);
  json["clientId"] = TextOrNull(binding.client_id);
}

void AddBinding(nlohmann::ordered_json& json, const DpopBinding& binding) {
  json["use"] = kDpopUse;
  json["clientId"] = binding.client_id;
  json["origins"] = binding.origins;
}

AccountBinding ReadAccountBinding(const Reader& reader) {
  AccountBinding binding{.account_user_id = reader.TextOrEmpty("accountUserId"),
                         .client_id = reader.TextOrEmpty("clientId")};
  if (binding.account_user_id.empty() != binding.client_id.empty()) {
    reader.Fail("only one of the members accountUserId and clientId is null");
  }
  return binding;
}

DpopBinding ReadDpopBinding(const Reader& reader) {
  if (reader.Text("use") != kDpopUse) reader.Fail("the member use is not dpop");
  DpopBinding binding{.client_id = reader.Text("clientId"), .origins = reader.Texts("origins")};
  if (!std::is_sorted(binding.origins.begin(), binding.origins.end(), std::less_equal<>())) {
    reader.Fail("the member origins is not sorted, or has an origin twice");
  }
  return binding;
}

}  // namespace

std::string EncodeKeyRecord(const KeyRecord& record) {
  const bool is_dpop = std::holds_alternative<DpopBinding>(record.binding);
  nlohmann::ordered_json json = {
      {"version", is_dpop ? kDpopVersion : kAccountVersion},
      {"keyId", record.key_id.str()},
      {"provider", record.provider},
      {"protectionClass", ProtectionClassName(record.key_id.protection_class())},
      {"publicKeySpkiDerBase64", Base64Encode(record.public_key_spki_der)},
  };
  std::visit([&](const auto& binding) { AddBinding(json, binding); }, record.binding);
  json["createdAt"] = record.created_at;
  json["handle"] = record.handle;
  const std::string members = is_dpop ? "clientId, origins" : "accountUserId, clientId";
  try {
    std::string text = json.dump(2) + "\n";
    // Never write a record that is too long to read. Only these members can be that long.
    if (text.size() <= PrivateDirectory::kMaxFileBytes) return text;
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         members + ": expected strings that fit a key record, which has at most " +
                             std::to_string(PrivateDirectory::kMaxFileBytes) + " bytes");
  } catch (const nlohmann::json::exception&) {
    // Its own message would quote the string.
    throw DeviceKeyError(ErrorCode::kInvalidParams, members + ": expected strings in UTF-8");
  }
}

KeyRecord DecodeKeyRecord(std::string_view text, const KeyId& key_id, const std::string& file) {
  const Reader reader(text, file);
  // Checked first, because a newer version may have renamed or retyped everything else.
  const int64_t version = reader.Integer("version");
  if (version > kNewestVersion) {
    reader.Fail("it was written by a newer version of node-device-key (record version " +
                std::to_string(version) + ", this one reads up to " +
                std::to_string(kNewestVersion) + "), so update node-device-key");
  }
  if (version < kAccountVersion) {
    reader.Fail("there is no record version " + std::to_string(version));
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
  KeyBinding binding;
  if (version == kDpopVersion) {
    binding = ReadDpopBinding(reader);
  } else {
    binding = ReadAccountBinding(reader);
  }
  return {.key_id = key_id,
          .provider = reader.Text("provider"),
          .public_key_spki_der = reader.Base64("publicKeySpkiDerBase64"),
          .binding = std::move(binding),
          .created_at = reader.Integer("createdAt"),
          .handle = reader.Member("handle")};
}

}  // namespace device_key
