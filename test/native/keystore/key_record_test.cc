#include "keystore/key_record.h"

#include <gtest/gtest.h>

#include "keystore/test_records.h"
#include "platform/expect_error.h"
#include "platform/private_directory.h"

namespace device_key {
namespace {

class KeyRecordTest : public testing::Test {
 protected:
  // Expects that the record is refused when `member` has `value`, and that the error names file and
  // member.
  void ExpectRefused(const std::string& member, const nlohmann::json& value) {
    nlohmann::json json = nlohmann::json::parse(EncodeKeyRecord(record_));
    ASSERT_TRUE(json.contains(member));
    json[member] = value;
    const std::string message = ExpectCorrupt(json.dump(), "the member " + member);
    EXPECT_NE(message.find("/keys/file.json"), std::string::npos);
  }

  std::string ExpectCorrupt(const std::string& text, const std::string& part_of_message) {
    return ExpectError(
        ErrorCode::kStoreCorrupt, [&] { DecodeKeyRecord(text, record_.key_id, "/keys/file.json"); },
        part_of_message);
  }

  const KeyRecord record_ = NewRecord();
};

TEST_F(KeyRecordTest, RoundTripsThroughText) {
  const KeyRecord read = DecodeKeyRecord(EncodeKeyRecord(record_), record_.key_id, "file");

  EXPECT_EQ(read.key_id, record_.key_id);
  EXPECT_EQ(read.provider, record_.provider);
  EXPECT_EQ(read.public_key_spki_der, record_.public_key_spki_der);
  EXPECT_EQ(read.binding, record_.binding);
  EXPECT_EQ(read.created_at, record_.created_at);
  EXPECT_EQ(read.handle, record_.handle);
}

TEST_F(KeyRecordTest, BeginsWithItsVersion) {
  EXPECT_TRUE(EncodeKeyRecord(record_).starts_with("{\n  \"version\": 1,\n"));
}

TEST_F(KeyRecordTest, RefusesANewerVersionAndSaysWhatToDo) {
  ExpectCorrupt(R"({"version":3,"everything":"else is different"})", "newer version");
}

TEST_F(KeyRecordTest, RefusesVersionsThatNeverExisted) {
  ExpectCorrupt(R"({"version":0})", "no record version 0");
  ExpectRefused("version", "1");
  ExpectRefused("version", -1);
  ExpectRefused("version", 18446744073709551615u);
}

TEST_F(KeyRecordTest, RefusesAnythingButAJsonObject) {
  ExpectCorrupt("", "one JSON value");
  ExpectCorrupt("[]", "not a JSON object");
  ExpectCorrupt("{\"version\":1", "one JSON value");
  ExpectCorrupt(std::string(PrivateDirectory::kMaxFileBytes, '['), "64 levels");
}

// A recursive copy or destructor would overflow the stack.
TEST_F(KeyRecordTest, RefusesDeepNestingInsteadOfCrashing) {
  const std::string nested = std::string(120'000, '[') + std::string(120'000, ']');
  nlohmann::json json = nlohmann::json::parse(EncodeKeyRecord(record_));
  json["handle"] = "nested";
  std::string text = json.dump();
  text.replace(text.find("\"nested\""), 8, nested);
  ExpectCorrupt(text, "64 levels");
  ExpectCorrupt(nested, "64 levels");
}

TEST_F(KeyRecordTest, RefusesADuplicateMember) {
  std::string text = EncodeKeyRecord(record_);
  text.replace(text.rfind('}'), 1, ",\"provider\":\"other\"}");
  ExpectCorrupt(text, "given twice");
}

TEST_F(KeyRecordTest, NamesAMissingMember) {
  const nlohmann::json complete = nlohmann::json::parse(EncodeKeyRecord(record_));
  for (const auto& [member, value] : complete.items()) {
    nlohmann::json json = complete;
    json.erase(member);
    ExpectCorrupt(json.dump(), "the member " + member + " is missing");
  }
}

TEST_F(KeyRecordTest, MustBelongToItsFileName) {
  ExpectRefused("keyId", KeyId::Generate(ProtectionClass::kHardwareTpm).str());
}

TEST_F(KeyRecordTest, MustHaveTheProtectionClassOfItsId) {
  ExpectRefused("protectionClass", "os_protected_nonextractable");
}

TEST_F(KeyRecordTest, RefusesMembersOfOtherTypes) {
  ExpectRefused("keyId", nullptr);
  ExpectRefused("provider", 1);
  ExpectRefused("provider", "");
  ExpectRefused("accountUserId", nlohmann::json::array());
  ExpectRefused("clientId", true);
  ExpectRefused("createdAt", "yesterday");
  ExpectRefused("createdAt", -1);
  ExpectRefused("publicKeySpkiDerBase64", "*");
}

TEST_F(KeyRecordTest, WritesNullForTheAccountAndClientOfAnUnboundKey) {
  KeyRecord record = record_;
  record.binding = AccountBinding{};
  const std::string text = EncodeKeyRecord(record);

  EXPECT_TRUE(nlohmann::json::parse(text).at("accountUserId").is_null());
  EXPECT_TRUE(nlohmann::json::parse(text).at("clientId").is_null());
  EXPECT_TRUE(
      std::get<AccountBinding>(DecodeKeyRecord(text, record.key_id, "file").binding).empty());
}

TEST_F(KeyRecordTest, HasBothAccountAndClientOrNeither) {
  for (const char* member : {"accountUserId", "clientId"}) {
    nlohmann::json json = nlohmann::json::parse(EncodeKeyRecord(record_));
    json[member] = nullptr;
    ExpectCorrupt(json.dump(), "only one of the members accountUserId and clientId is null");
    ExpectRefused(member, "");
  }
}

TEST_F(KeyRecordTest, CannotHoldTextThatIsNotUtf8) {
  KeyRecord record = record_;
  record.binding = AccountBinding{"secret\xff", "client-1"};

  const std::string message = ExpectError(
      ErrorCode::kInvalidParams, [&] { EncodeKeyRecord(record); }, "accountUserId");
  EXPECT_EQ(message.find("secret"), std::string::npos);
}

TEST_F(KeyRecordTest, CannotBeLongerThanTheLimitForReading) {
  KeyRecord record = record_;
  record.binding = AccountBinding{std::string(PrivateDirectory::kMaxFileBytes, 'a'), "client-1"};

  ExpectError(
      ErrorCode::kInvalidParams, [&] { EncodeKeyRecord(record); }, "accountUserId");
}

// Records of keys for DPoP proofs.

class DpopRecordTest : public KeyRecordTest {
 protected:
  nlohmann::json Json() const { return nlohmann::json::parse(EncodeKeyRecord(dpop_record_)); }

  void ExpectRefusedWith(const char* member, const nlohmann::json& value) {
    nlohmann::json json = Json();
    json[member] = value;
    ExpectCorrupt(json.dump(), std::string("the member ") + member);
  }

  const KeyRecord dpop_record_ = [&] {
    KeyRecord record = record_;
    record.binding = DpopBinding{"client-1", {"https://a.example", "https://b.example"}};
    return record;
  }();
};

TEST_F(DpopRecordTest, RoundTripsThroughText) {
  const std::string text = EncodeKeyRecord(dpop_record_);
  const KeyRecord read = DecodeKeyRecord(text, dpop_record_.key_id, "file");

  EXPECT_EQ(read.binding, dpop_record_.binding);
  EXPECT_EQ(EncodeKeyRecord(read), text);
}

// Code that does not know keys for DPoP proofs must not read them as other keys.
TEST_F(DpopRecordTest, HasAVersionThatOlderCodeRefuses) {
  EXPECT_TRUE(EncodeKeyRecord(dpop_record_).starts_with("{\n  \"version\": 2,\n"));
}

TEST_F(DpopRecordTest, IsRefusedAsARecordOfTheOtherUse) {
  nlohmann::json json = Json();
  json["version"] = 1;
  ExpectCorrupt(json.dump(), "the member accountUserId is missing");
  json = nlohmann::json::parse(EncodeKeyRecord(record_));
  json["version"] = 2;
  ExpectCorrupt(json.dump(), "the member use is missing");
}

TEST_F(DpopRecordTest, RefusesMembersThatItCannotHave) {
  ExpectRefusedWith("use", "remote_control");
  ExpectRefusedWith("clientId", nullptr);
  ExpectRefusedWith("origins", nullptr);
  ExpectRefusedWith("origins", nlohmann::json::array());
  ExpectRefusedWith("origins", {"https://a.example", 1});
  ExpectRefusedWith("origins", {"https://b.example", "https://a.example"});
  ExpectRefusedWith("origins", {"https://a.example", "https://a.example"});
}

TEST_F(DpopRecordTest, CannotBeLongerThanTheLimitForReading) {
  KeyRecord record = dpop_record_;
  record.binding = DpopBinding{"client-1", {std::string(PrivateDirectory::kMaxFileBytes, 'a')}};

  ExpectError(
      ErrorCode::kInvalidParams, [&] { EncodeKeyRecord(record); }, "clientId, origins");
}

}  // namespace
}  // namespace device_key
