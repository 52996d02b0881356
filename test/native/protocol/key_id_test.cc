#include "protocol/key_id.h"

#include <gtest/gtest.h>

namespace device_key {
namespace {

const std::string kGood = "dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

TEST(KeyId, NamesItsProtectionClass) {
  const std::pair<ProtectionClass, std::string> prefixes[] = {
      {ProtectionClass::kHardwareSecureEnclave, "dk_hse_"},
      {ProtectionClass::kHardwareTpm, "dk_tpm_"},
      {ProtectionClass::kOsProtectedNonextractable, "dk_osn_"},
  };
  for (const auto& [protection_class, prefix] : prefixes) {
    const KeyId id = KeyId::Generate(protection_class);
    EXPECT_EQ(id.str().substr(0, 7), prefix);
    EXPECT_EQ(id.str().size(), 7u + 43u);
    EXPECT_EQ(id.protection_class(), protection_class);
    EXPECT_EQ(KeyId::Parse(id.str()), id);
  }
}

TEST(KeyId, IsNewEveryTime) {
  EXPECT_NE(KeyId::Generate(ProtectionClass::kHardwareTpm).str(),
            KeyId::Generate(ProtectionClass::kHardwareTpm).str());
}

TEST(KeyId, ParsesAWellFormedId) {
  const std::optional<KeyId> id = KeyId::Parse(kGood);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->str(), kGood);
  EXPECT_EQ(id->protection_class(), ProtectionClass::kHardwareTpm);
}

TEST(KeyId, RefusesOtherPrefixes) {
  for (const char* prefix : {"", "dk_", "dk_xyz_", "DK_TPM_", "dk-tpm-", " dk_tpm_", "dk_tpm"}) {
    EXPECT_FALSE(KeyId::Parse(prefix + kGood.substr(7))) << prefix;
  }
}

TEST(KeyId, RefusesOtherLengths) {
  EXPECT_FALSE(KeyId::Parse(""));
  EXPECT_FALSE(KeyId::Parse("dk_tpm_"));
  EXPECT_FALSE(KeyId::Parse(kGood.substr(0, kGood.size() - 1)));
  EXPECT_FALSE(KeyId::Parse(kGood + "A"));
  EXPECT_FALSE(KeyId::Parse(kGood + "="));
}

TEST(KeyId, RefusesNonCanonicalBase64Url) {
  std::string id = kGood;
  id.back() = 'B';  // a lenient decoder returns the same 32 bytes as for 'A'
  EXPECT_FALSE(KeyId::Parse(id));
}

TEST(KeyId, RefusesCharactersThatAreUnsafeInPathsAndStrings) {
  for (const std::string& bad : {std::string("/"), std::string("\\"), std::string("."),
                                 std::string("+"), std::string("\n"), std::string(1, '\0')}) {
    EXPECT_FALSE(KeyId::Parse(kGood.substr(0, 20) + bad + kGood.substr(21)));
    EXPECT_FALSE(KeyId::Parse(kGood + bad));
  }
  EXPECT_FALSE(KeyId::Parse("dk_tpm_../../../../../../../../../../etc/passwd"));
}

TEST(ProtectionClassName, RoundTripsThroughProtectionClassFromName) {
  for (const char* name :
       {"hardware_secure_enclave", "hardware_tpm", "os_protected_nonextractable"}) {
    const std::optional<ProtectionClass> protection_class = ProtectionClassFromName(name);
    ASSERT_TRUE(protection_class) << name;
    EXPECT_EQ(ProtectionClassName(*protection_class), name);
  }
  EXPECT_FALSE(ProtectionClassFromName("software"));
  EXPECT_FALSE(ProtectionClassFromName(""));
}

}  // namespace
}  // namespace device_key
