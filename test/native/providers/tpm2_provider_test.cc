#include "providers/tpm2/tpm2_provider.h"

#include <gmock/gmock.h>

#include <fstream>
#include <vector>

#include "providers/tpm2/tss2_private_key.h"
#include "providers/tpm2_fixture.h"

namespace device_key {
namespace {

using ::testing::HasSubstr;

class Tpm2ProviderTest : public Tpm2Test {
 protected:
  // The output of tpm2_readpublic for a key below the derived parent.
  std::string ReadPublic(const TestKey& key) const {
    const std::string base = tpm_.socket_path();
    const auto file = Tss2PrivateKey::FromPem(key.pem());
    Write(base + ".pub", file.public_area);
    Write(base + ".priv", file.private_area);
    return tpm_.Tool("tpm2_createprimary -Q -C o -G ecc -a '" + std::string(kParentAttributes) +
                     "' -c " + base + ".ctx && tpm2_flushcontext -t && tpm2_load -Q -C " + base +
                     ".ctx -u " + base + ".pub -r " + base + ".priv -c " + base +
                     ".key && tpm2_flushcontext -t && tpm2_readpublic -c " + base + ".key");
  }

  uint32_t LockoutCounter() const {
    const std::string text =
        tpm_.Tool("tpm2_getcap properties-variable | sed -n 's/^TPM2_PT_LOCKOUT_COUNTER: *//p'");
    return static_cast<uint32_t>(std::stoul(text, nullptr, 0));
  }

  static constexpr char kParentAttributes[] =
      "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";

 private:
  static void Write(const std::string& path, const Bytes& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
};

TEST_F(Tpm2ProviderTest, DoesNotAccessTheTpmInItsConstructor) {
  EXPECT_NO_THROW(ProviderAt("swtpm:path=/nonexistent/socket"));
}

TEST_F(Tpm2ProviderTest, MakesSignaturesThatVerify) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);

  EXPECT_TRUE(SignsRightly(*provider, key, "one"));
  EXPECT_TRUE(SignsRightly(*provider, key, "two"));
}

TEST_F(Tpm2ProviderTest, SignsWithKeysThatAnEarlierProcessMade) {
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  provider.reset();

  EXPECT_TRUE(SignsRightly(*NewProvider(), key));
}

TEST_F(Tpm2ProviderTest, MakesADifferentKeyEveryTime) {
  const auto provider = NewProvider();

  EXPECT_NE(CreateKey(*provider).key.spki_der, CreateKey(*provider).key.spki_der);
}

TEST_F(Tpm2ProviderTest, MakesKeysThatCannotBeExported) {
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  provider.reset();

  const std::string area = ReadPublic(key);

  EXPECT_THAT(area, HasSubstr("value: fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|"
                              "sign\n"));
  EXPECT_THAT(area, HasSubstr("value: NIST p256"));
  EXPECT_THAT(area, HasSubstr("value: ecdsa"));
  EXPECT_THAT(area, HasSubstr("value: sha256"));
}

TEST_F(Tpm2ProviderTest, DerivesTheSameParentAsOtherSoftware) {
  // ReadPublic loads the key below the primary of tpm2-tools, which fails for any other parent.
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  provider.reset();

  EXPECT_EQ(Tss2PrivateKey::FromPem(key.pem()).parent, 0x40000001u);
  EXPECT_NO_THROW(ReadPublic(key));
}

// Bindings.

TEST_F(Tpm2ProviderTest, RefusesAnotherBindingForALoadedKey) {
  const auto provider = NewProvider();
  TestKey key = CreateKey(*provider);
  key.binding.client_id = "client-2";

  ExpectError(
      ErrorCode::kBindingMismatch, [&] { Sign(*provider, key); }, "another account or client");
}

TEST_F(Tpm2ProviderTest, RefusesAnotherBindingForAKeyThatIsNotLoaded) {
  auto provider = NewProvider();
  TestKey key = CreateKey(*provider);
  provider.reset();
  key.binding.account_user_id = "account-2";

  ExpectError(ErrorCode::kBindingMismatch, [&] { Sign(*NewProvider(), key); });
}

TEST_F(Tpm2ProviderTest, StillSignsForTheRightBindingAfterAWrongOne) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  TestKey edited = key;
  edited.binding.client_id = "client-2";
  ExpectError(ErrorCode::kBindingMismatch, [&] { Sign(*provider, edited); });

  EXPECT_TRUE(SignsRightly(*provider, key));
}

TEST_F(Tpm2ProviderTest, WrongBindingsDoNotBringTheTpmCloserToItsLockout) {
  auto provider = NewProvider();
  TestKey key = CreateKey(*provider);
  key.binding.client_id = "client-2";

  for (int i = 0; i < 10; ++i) {
    ExpectError(ErrorCode::kBindingMismatch, [&] { Sign(*provider, key); });
  }

  provider.reset();
  EXPECT_EQ(LockoutCounter(), 0u);
}

// Slots. A TPM without a resource manager has three.

TEST_F(Tpm2ProviderTest, SignsWithMoreKeysThanTheTpmHasSlots) {
  auto provider = NewProvider();
  std::vector<TestKey> keys;
  for (int i = 0; i < 4; ++i) keys.push_back(CreateKey(*provider));

  for (int round = 0; round < 20; ++round) {
    for (const TestKey& key : keys) {
      ASSERT_TRUE(SignsRightly(*provider, key, std::to_string(round)));
    }
  }
}

// Makes a key that has signed, and enough other keys to evict it.
TestKey EvictedKey(KeyProvider& provider) {
  TestKey key = CreateKey(provider);
  Sign(provider, key);
  for (int i = 0; i < 2; ++i) CreateKey(provider);
  return key;
}

TEST_F(Tpm2ProviderTest, EvictedKeysAreRestoredFromTheirContexts) {
  auto provider = NewProvider();
  TestKey key = EvictedKey(*provider);
  key.key.handle = nullptr;  // so it cannot be loaded from the record

  EXPECT_TRUE(SignsRightly(*provider, key));
}

TEST_F(Tpm2ProviderTest, EvictedKeysThatAreUnloadedAreNotRestoredFromTheirContexts) {
  auto provider = NewProvider();
  TestKey key = EvictedKey(*provider);
  provider->Unload(key.id, Soon());
  key.key.handle = nullptr;

  ExpectError(ErrorCode::kStoreCorrupt, [&] { Sign(*provider, key); });
}

TEST_F(Tpm2ProviderTest, LeavesNothingInTheTpm) {
  auto provider = NewProvider();
  std::vector<TestKey> keys;
  for (int i = 0; i < 4; ++i) keys.push_back(CreateKey(*provider));
  for (const TestKey& key : keys) Sign(*provider, key);
  keys[0].binding.client_id = "client-2";
  ExpectError(ErrorCode::kBindingMismatch, [&] { Sign(*provider, keys[0]); });

  provider.reset();

  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
  EXPECT_EQ(tpm_.Capability("handles-loaded-session"), "");
  EXPECT_EQ(tpm_.Capability("handles-saved-session"), "");
}

TEST_F(Tpm2ProviderTest, ReportsBusyWhileOtherProgramsOccupyAllSlots) {
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  provider.reset();
  for (int i = 0; i < 3; ++i) {
    tpm_.Tool("tpm2_createprimary -Q -c " + tpm_.socket_path() + ".ctx");
  }

  ExpectError(
      ErrorCode::kDeviceBusy, [&] { Sign(*NewProvider(), key); }, "slots");
  ExpectError(ErrorCode::kDeviceBusy, [&] { CreateKey(*NewProvider()); });

  tpm_.Tool("tpm2_flushcontext -t");
  EXPECT_TRUE(SignsRightly(*NewProvider(), key));
}

TEST_F(Tpm2ProviderTest, NeedsOnlyTwoSlots) {
  tpm_.Tool("tpm2_createprimary -Q -c " + tpm_.socket_path() + ".ctx");
  const auto provider = NewProvider();
  const TestKey first = CreateKey(*provider);
  const TestKey second = CreateKey(*provider);

  EXPECT_TRUE(SignsRightly(*provider, first));
  EXPECT_TRUE(SignsRightly(*provider, second));
  EXPECT_TRUE(SignsRightly(*provider, first));
}

TEST_F(Tpm2ProviderTest, DeletingAKeyFreesItsSlot) {
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  Sign(*provider, key);

  provider->Delete(key.id, key.key.handle, Soon());

  provider.reset();
  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
}

TEST_F(Tpm2ProviderTest, SignsAfterUnload) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);

  provider->Unload(key.id, Soon());

  EXPECT_TRUE(SignsRightly(*provider, key));
}

// Damaged records.

TEST_F(Tpm2ProviderTest, RefusesAHandleWithoutAKey) {
  const auto provider = NewProvider();
  TestKey key = CreateKey(*provider);
  provider->Unload(key.id, Soon());
  for (const nlohmann::json& handle :
       {nlohmann::json(), nlohmann::json::array(), nlohmann::json::object(),
        nlohmann::json{{"tss2PrivateKey", 7}}, nlohmann::json{{"tss2PrivateKey", ""}}}) {
    key.key.handle = handle;
    ExpectError(
        ErrorCode::kStoreCorrupt, [&] { Sign(*provider, key); }, "damaged");
  }
}

class DamagedKeyTest : public Tpm2ProviderTest {
 protected:
  // Signs with a copy of a key whose file `damage` has changed.
  template <class Damage>
  void SignDamaged(Damage damage) {
    const auto provider = NewProvider();
    TestKey key = CreateKey(*provider);
    provider->Unload(key.id, Soon());
    auto file = Tss2PrivateKey::FromPem(key.pem());
    damage(file);
    key.key.handle["tss2PrivateKey"] = file.ToPem();
    Sign(*provider, key);
  }
};

TEST_F(DamagedKeyTest, WithACutOffAreaIsRefused) {
  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.public_area.pop_back(); }); });
  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.private_area.pop_back(); }); });
}

TEST_F(DamagedKeyTest, WithTrailingBytesAfterAnAreaIsRefused) {
  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.public_area.push_back(0); }); });
  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.private_area.push_back(0); }); });
}

TEST_F(DamagedKeyTest, WithoutAreasIsRefused) {
  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.public_area.clear(); }); });
  ExpectError(ErrorCode::kStoreCorrupt,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.private_area.clear(); }); });
  ExpectError(ErrorCode::kStoreCorrupt, [&] {
    SignDamaged([](Tss2PrivateKey& file) { file.private_area = {0, 0}; });
  });
}

TEST_F(DamagedKeyTest, WithOtherAttributesIsRefusedBeforeTheTpmSeesIt) {
  ExpectError(
      ErrorCode::kStoreCorrupt,
      [&] {
        // TPM2B size, type, nameAlg, then objectAttributes: fixedTPM is bit 1 of the last byte.
        SignDamaged([](Tss2PrivateKey& file) { file.public_area.at(9) ^= 0x02; });
      },
      "attributes");
}

TEST_F(DamagedKeyTest, WithAFlippedBitInItsPrivateAreaIsRefusedByTheTpm) {
  ExpectError(ErrorCode::kKeyLost,
              [&] { SignDamaged([](Tss2PrivateKey& file) { file.private_area.back() ^= 1; }); });
}

TEST_F(DamagedKeyTest, WithAnUnknownKindOfParentIsRefused) {
  ExpectError(
      ErrorCode::kStoreCorrupt,
      [&] { SignDamaged([](Tss2PrivateKey& file) { file.parent = 0x81000002; }); }, "parent");
}

// Probing.

TEST_F(Tpm2ProviderTest, ProbeReportsTheTpm) {
  const Availability availability = NewProvider()->Probe(Soon());

  ASSERT_TRUE(availability.available()) << availability.error->what();
  const nlohmann::json& details = availability.details;
  EXPECT_EQ(details.at("tcti"), tpm_.tcti());
  EXPECT_EQ(details.at("simulator"), true);
  EXPECT_EQ(details.at("manufacturer"), "IBM");
  EXPECT_EQ(details.at("vendor"), "SW   TPM");
  EXPECT_EQ(details.at("ownerAuthSet"), false);
  EXPECT_EQ(details.at("inLockout"), false);
  EXPECT_EQ(details.at("lockoutCounter"), 0);
  EXPECT_EQ(details.at("persistentStorageKey"), false);
  EXPECT_THAT(details.at("firmwareVersion").get<std::string>(),
              ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST_F(Tpm2ProviderTest, ProbeFindsThePersistentStorageKey) {
  MakePersistentSrk();

  EXPECT_EQ(NewProvider()->Probe(Soon()).details.at("persistentStorageKey"), true);
}

TEST_F(Tpm2ProviderTest, ProbeLeavesLoadedKeysUsable) {
  const auto provider = NewProvider();
  const TestKey first = CreateKey(*provider);
  const TestKey second = CreateKey(*provider);

  EXPECT_TRUE(provider->Probe(Soon()).available());

  EXPECT_TRUE(SignsRightly(*provider, first));
  EXPECT_TRUE(SignsRightly(*provider, second));
}

TEST_F(Tpm2ProviderTest, ProbeReportsADeadTpm) {
  const auto provider = NewProvider();
  tpm_.Kill();

  const Availability availability = provider->Probe(Soon());

  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(availability.details.at("tcti"), tpm_.tcti());
}

TEST_F(Tpm2ProviderTest, ProbeReportsAHungTpm) {
  const auto provider = NewProvider();
  tpm_.Pause();

  const Availability availability = provider->Probe(Within(std::chrono::milliseconds(100)));

  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kDeviceTimeout);
}

// Simulators.

TEST_F(Tpm2ProviderTest, ASimulatorIsRefusedUnlessItIsAllowed) {
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  Tpm2Provider strict({.tcti = tpm_.tcti(), .allow_simulator = false});

  for (const char* cure : {"allowSimulator", "DEVICE_KEY_ALLOW_SIMULATOR=1"}) {
    ExpectError(
        ErrorCode::kHardwareUnavailable, [&] { CreateKey(strict); }, cure);
  }
  ExpectError(ErrorCode::kHardwareUnavailable, [&] { Sign(strict, key); });
  const Availability availability = strict.Probe(Soon());
  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(availability.details.at("simulator"), true);
}

TEST_F(Tpm2ProviderTest, TheEnvironmentNamesTheTpmAndAllowsASimulator) {
  setenv("DEVICE_KEY_TCTI", tpm_.tcti().c_str(), 1);
  setenv("DEVICE_KEY_ALLOW_SIMULATOR", "1", 1);

  Tpm2Provider provider({});
  Tpm2Provider strict({.tcti = {}, .allow_simulator = false});

  unsetenv("DEVICE_KEY_TCTI");
  unsetenv("DEVICE_KEY_ALLOW_SIMULATOR");
  EXPECT_TRUE(SignsRightly(provider, CreateKey(provider)));
  ExpectError(ErrorCode::kHardwareUnavailable, [&] { CreateKey(strict); });
}

TEST_F(Tpm2ProviderTest, ATctiOfTheEnvironmentThatIsNotSupportedIsRefusedByItsName) {
  setenv("DEVICE_KEY_TCTI", "mssim:host=localhost", 1);
  ExpectError(
      ErrorCode::kInvalidParams, [] { Tpm2Provider provider({}); }, "DEVICE_KEY_TCTI: expected");
  unsetenv("DEVICE_KEY_TCTI");
}

TEST_F(Tpm2ProviderTest, OnlyAOneInTheEnvironmentAllowsASimulator) {
  for (const char* value : {"", "0", "true", "11"}) {
    setenv("DEVICE_KEY_ALLOW_SIMULATOR", value, 1);
    Tpm2Provider provider({.tcti = tpm_.tcti(), .allow_simulator = {}});
    unsetenv("DEVICE_KEY_ALLOW_SIMULATOR");
    ExpectError(ErrorCode::kHardwareUnavailable, [&] { CreateKey(provider); });
  }
}

}  // namespace
}  // namespace device_key
