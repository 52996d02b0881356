#include "providers/cng/cng_provider.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "crypto/p256.h"
#include "keystore/device_key_store.h"
#include "platform/expect_error.h"
#include "platform/temporary_directory.h"
#include "platform/windows_api.h"
#include "providers/cng/ncrypt_library.h"
#include "providers/stand_in_key_store.h"

namespace device_key {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

OperationLimits Within(milliseconds time) { return {.deadline = steady_clock::now() + time}; }
OperationLimits NoHurry() { return Within(std::chrono::seconds(60)); }

// Both of Windows' key stores.
class CngProviderTest : public testing::TestWithParam<CngKeyStore> {
 protected:
  // At the end of each test, checks that no handle was leaked or used after it was freed, and that
  // no call could have asked the user.
  struct CheckedKeyStore : StandInKeyStore {
    ~CheckedKeyStore() {
      Wait([] { return OpenHandles() == 0; });
      EXPECT_EQ(OpenHandles(), 0u);
      EXPECT_EQ(Mistakes(), 0u);
    }
  };

  ProviderKey Create() { return Create(provider_, id_); }
  static ProviderKey Create(CngProvider& provider, const KeyId& id) {
    return provider.Create(id, {}, NoHurry());
  }

  Bytes Sign(const ProviderKey& key, const OperationLimits& limits = NoHurry()) {
    return provider_.Sign(id_, key.handle, {}, digest_, limits);
  }

  void ExpectSigns(const ProviderKey& key) {
    EXPECT_TRUE(P256PublicKey::FromSpki(key.spki_der).Verify(digest_, Sign(key)));
  }

  static void Wait(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(20));
  }

  // The name of the key in the stand-in.
  std::string File(const KeyId& id) const {
    const bool platform = GetParam() == CngKeyStore::kPlatform;
    return (platform ? "platform-device-key-" : "software-device-key-") + id.str();
  }

  const CheckedKeyStore key_store_;
  CngProvider provider_{GetParam()};
  const KeyId id_ = KeyId::Generate(provider_.protection_class());
  const Sha256Digest digest_ = Sha256(AsBytes("statement"));
};

INSTANTIATE_TEST_SUITE_P(, CngProviderTest,
                         testing::Values(CngKeyStore::kPlatform, CngKeyStore::kSoftware),
                         [](const auto& info) {
                           return info.param == CngKeyStore::kPlatform ? "Platform" : "Software";
                         });

TEST_P(CngProviderTest, HasANameAndAProtectionClass) {
  const bool platform = GetParam() == CngKeyStore::kPlatform;
  EXPECT_EQ(provider_.name(), platform ? "cng-platform" : "cng-software");
  EXPECT_EQ(provider_.protection_class(),
            platform ? ProtectionClass::kHardwareTpm : ProtectionClass::kOsProtectedNonextractable);
  EXPECT_TRUE(provider_.keeps_keys());
}

TEST_P(CngProviderTest, IsAvailable) {
  const Availability availability = provider_.Probe(NoHurry());

  EXPECT_TRUE(availability.available());
  EXPECT_NE(availability.details["keyStore"].get<std::string>().find("Microsoft"),
            std::string::npos);
}

TEST_P(CngProviderTest, MakesAKeyThatSigns) {
  const ProviderKey key = Create();

  EXPECT_EQ(key.handle["keyName"], "device-key-" + id_.str());
  EXPECT_TRUE(key_store_.Has(File(id_)));
  ExpectSigns(key);
}

TEST_P(CngProviderTest, FindsItsKeysAgain) {
  const ProviderKey key = Create();
  CngProvider later(GetParam());

  const Bytes signature = later.Sign(id_, key.handle, {}, digest_, NoHurry());

  EXPECT_TRUE(P256PublicKey::FromSpki(key.spki_der).Verify(digest_, signature));
}

TEST_P(CngProviderTest, KeepsTheKeyStoreOpenFromOneSignatureToTheNext) {
  const ProviderKey key = Create();
  ExpectSigns(key);
  key_store_.Behave({"NCryptOpenStorageProvider=0x80280922"});

  ExpectSigns(key);
}

TEST_P(CngProviderTest, ReopensAStaleKeyStore) {
  const ProviderKey key = Create();
  ExpectSigns(key);
  key_store_.Behave({"stale"});

  ExpectSigns(key);
}

TEST_P(CngProviderTest, NeverOverwritesAKey) {
  const ProviderKey key = Create();

  const std::string message = ExpectError(ErrorCode::kPlatformError, [&] { Create(); });

  EXPECT_NE(message.find("NTE_EXISTS (0x8009000f)"), std::string::npos);
  EXPECT_EQ(key_store_.Keys(), 1u);
  ExpectSigns(key);
}

// Windows also returns the status of a lost key when it makes a key, for example on a cloned disk.
TEST_P(CngProviderTest, DoesNotReportAKeyLostWhileItIsBeingMade) {
  key_store_.Behave({"NCryptFinalizeKey=0x80090016"});

  ExpectError(
      ErrorCode::kPlatformError, [&] { Create(); }, "NTE_BAD_KEYSET (0x80090016)");
}

TEST_P(CngProviderTest, AcceptsAPublicKeyWithTheGenericMagic) {
  key_store_.Behave({"generic-magic"});

  ExpectSigns(Create());
}

TEST_P(CngProviderTest, RefusesAndDeletesAKeyOnAnotherCurve) {
  key_store_.Behave({"other-curve"});

  ExpectError(
      ErrorCode::kPlatformError, [&] { Create(); }, "did not answer with a P-256 key");
  EXPECT_EQ(key_store_.Keys(), 0u);
}

TEST_P(CngProviderTest, RefusesAndDeletesAKeyThatMayBeExported) {
  key_store_.Behave({"exportable"});

  ExpectError(
      ErrorCode::kPlatformError, [&] { Create(); }, "export policy 1");
  EXPECT_EQ(key_store_.Keys(), 0u);
}

TEST_P(CngProviderTest, ReportsThatARefusedKeyCannotBeDeleted) {
  key_store_.Behave({"exportable", "NCryptDeleteKey=0x80280922"});

  ExpectError(
      ErrorCode::kPlatformError, [&] { Create(); }, "could not delete the new key");
  EXPECT_EQ(key_store_.Keys(), 1u);
}

TEST_P(CngProviderTest, RefusesASignatureOfAnotherSize) {
  const ProviderKey key = Create();
  key_store_.Behave({"short-signature"});

  ExpectError(
      ErrorCode::kPlatformError, [&] { Sign(key); }, "63 bytes");
}

TEST_P(CngProviderTest, ReportsThatAKeyIsLost) {
  const ProviderKey key = Create();
  ExpectSigns(key);
  CngProvider(GetParam()).Delete(id_, key.handle, NoHurry());

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(key); }, "enroll again");
}

TEST_P(CngProviderTest, DeletesAKeyAndSucceedsWhenThereIsNone) {
  const ProviderKey key = Create();

  provider_.Delete(id_, key.handle, NoHurry());
  EXPECT_EQ(key_store_.Keys(), 0u);
  EXPECT_NO_THROW(provider_.Delete(id_, key.handle, NoHurry()));
}

TEST_P(CngProviderTest, DeletesAKeyThatWasNeverRecorded) {
  Create();

  provider_.Delete(id_, nullptr, NoHurry());

  EXPECT_EQ(key_store_.Keys(), 0u);
}

// NCryptDeleteKey frees the handle only when it succeeds.
TEST_P(CngProviderTest, KeepsAKeyThatCannotBeDeletedAndFreesItsHandle) {
  const ProviderKey key = Create();
  key_store_.Behave({"NCryptDeleteKey=0x80280922"});

  ExpectError(ErrorCode::kDeviceBusy, [&] { provider_.Delete(id_, key.handle, NoHurry()); });

  EXPECT_EQ(StandInKeyStore::OpenHandles(), 1u);  // the key store's
  key_store_.Behave({});
  ExpectSigns(key);
}

TEST_P(CngProviderTest, FreesEveryHandleWhenACallFails) {
  Create();
  for (const char* call :
       {"NCryptOpenStorageProvider", "NCryptCreatePersistedKey", "NCryptSetProperty",
        "NCryptFinalizeKey", "NCryptExportKey", "NCryptGetProperty"}) {
    key_store_.Behave({(std::string(call) + "=0x80280921").c_str()});
    ExpectError(
        ErrorCode::kTpmLockout,
        [&] { Create(provider_, KeyId::Generate(provider_.protection_class())); }, "0x80280921");
    EXPECT_EQ(StandInKeyStore::OpenHandles(), 0u) << call;
    EXPECT_EQ(key_store_.Keys(), 1u) << call;
  }
}

TEST_P(CngProviderTest, DoesNotWaitForAKeyStoreThatHangs) {
  const ProviderKey key = Create();
  key_store_.Behave({"pause"});

  ExpectError(ErrorCode::kDeviceTimeout, [&] { Sign(key, Within(milliseconds(50))); });
  // The provider's thread is still in the call that hangs, so this one never starts.
  const Availability availability = provider_.Probe(Within(milliseconds(50)));
  EXPECT_EQ(availability.error->code(), ErrorCode::kDeviceBusy);

  key_store_.Behave({});
  ExpectSigns(key);
}

TEST_P(CngProviderTest, StopsWaitingWhenItIsInterrupted) {
  const ProviderKey key = Create();
  key_store_.Behave({"pause"});
  Interrupt interrupt;
  OperationLimits limits = NoHurry();
  limits.interrupt = &interrupt;
  std::thread closing([&] { interrupt.Trigger(); });

  ExpectError(ErrorCode::kClosed, [&] { Sign(key, limits); });

  closing.join();
  key_store_.Behave({});
}

TEST_P(CngProviderTest, DoesNotWaitForItsHangingThreadWhenDestroyed) {
  key_store_.Behave({"pause"});
  {
    CngProvider hanging(GetParam());
    EXPECT_FALSE(hanging.Probe(Within(milliseconds(50))).available());
  }
  key_store_.Behave({});
}

TEST_P(CngProviderTest, DoesNotWaitForAKeyStoreThatHangsWhenItIsClosed) {
  const ProviderKey key = Create();
  {
    CngProvider closing(GetParam());
    closing.Sign(id_, key.handle, {}, digest_, NoHurry());
    key_store_.Behave({"pause"});
  }
  key_store_.Behave({});
}

TEST_P(CngProviderTest, UndoesAKeyThatIsMadeTooLate) {
  key_store_.Behave({"slow=500"});

  ExpectError(ErrorCode::kDeviceTimeout,
              [&] { provider_.Create(id_, {}, Within(milliseconds(100))); });

  provider_.Probe(NoHurry());  // runs after the late call has ended
  EXPECT_EQ(key_store_.Keys(), 0u);
}

TEST_P(CngProviderTest, ServesSeveralThreads) {
  const ProviderKey key = Create();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) ExpectSigns(key);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class CngPlatformTest : public CngProviderTest {};
INSTANTIATE_TEST_SUITE_P(, CngPlatformTest, testing::Values(CngKeyStore::kPlatform),
                         [](const auto&) { return "Platform"; });

TEST_P(CngPlatformTest, ReportsTheKindOfTpm) {
  EXPECT_EQ(provider_.Probe(NoHurry()).details["platformType"],
            "TPM-Version:2.0 -Level:0-Revision:1.38-VendorID:'TEST'");
}

// The platform provider opens even without a TPM.
TEST_P(CngPlatformTest, IsUnavailableWithoutATpm) {
  key_store_.Behave({"no-tpm"});

  const Availability availability = provider_.Probe(NoHurry());
  EXPECT_EQ(availability.error->code(), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(availability.error->platform_status(), 0x8028400Fu);  // TBS_E_TPM_NOT_FOUND
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { Create(); }, "no TPM");
  EXPECT_EQ(key_store_.Keys(), 0u);
}

TEST_P(CngPlatformTest, IsUnavailableWithATpm12) {
  key_store_.Behave({"tpm-1.2"});

  EXPECT_EQ(provider_.Probe(NoHurry()).error->code(), ErrorCode::kHardwareUnavailable);
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { Create(); }, "a TPM 2.0 is needed");
}

// A temporary error, so the fallback is not used.
TEST_P(CngPlatformTest, IsBusyWhileTheTpmIsNotReady) {
  key_store_.Behave({"not-ready"});

  EXPECT_EQ(provider_.Probe(NoHurry()).error->code(), ErrorCode::kDeviceBusy);
  ExpectError(ErrorCode::kDeviceBusy, [&] { Create(); });
  EXPECT_EQ(key_store_.Keys(), 0u);
}

TEST_P(CngPlatformTest, IsBusyWhenTheTpmIsNotReadyAndWindowsCannotTellWhetherThereIsOne) {
  key_store_.Behave({"no-tpm", "Tbsi_GetDeviceInfo=0x80284001"});  // TBS_E_INTERNAL_ERROR

  EXPECT_EQ(provider_.Probe(NoHurry()).error->code(), ErrorCode::kDeviceBusy);
}

TEST_P(CngPlatformTest, MakesKeysWhereWindowsCannotTellWhetherThereIsATpm) {
  key_store_.Behave({"Tbsi_GetDeviceInfo=0x80284001"});

  ExpectSigns(Create());
}

TEST_P(CngPlatformTest, IsBusyWhenTheTpmStopsBeingReady) {
  key_store_.Behave({"NCryptFinalizeKey=0x80290401"});

  ExpectError(ErrorCode::kDeviceBusy, [&] { Create(); });
}

// The stand-in refuses the same flags as Windows, so the tests above fail if the provider passes
// them.
class CngStandInTest : public CngProviderTest {
 protected:
  // Creates a key and opens it in the platform provider.
  NCryptHandle OpenedKey() {
    Create();
    NCRYPT_PROV_HANDLE store = 0;
    EXPECT_EQ(ncrypt_.OpenStorageProvider(&store, L"Microsoft Platform Crypto Provider", 0), 0);
    const NCryptHandle store_owner(store);
    NCRYPT_KEY_HANDLE key = 0;
    EXPECT_EQ(ncrypt_.OpenKey(store, &key, WideFromUtf8("device-key-" + id_.str()).c_str(), 0,
                              NCRYPT_SILENT_FLAG),
              0);
    return NCryptHandle(key);
  }

  const NCryptLibrary& ncrypt_ = NCryptLibrary::Get();
};
INSTANTIATE_TEST_SUITE_P(, CngStandInTest, testing::Values(CngKeyStore::kPlatform),
                         [](const auto&) { return "Platform"; });

TEST_P(CngStandInTest, DeletesNoPlatformKeyWhenAFlagIsPassed) {
  const NCryptHandle key = OpenedKey();

  EXPECT_EQ(ncrypt_.DeleteKey(key.get(), NCRYPT_SILENT_FLAG), NTE_BAD_FLAGS);
  EXPECT_EQ(key_store_.Keys(), 1u);
}

TEST_P(CngStandInTest, ReadsNoPropertyOfAPlatformKeyWhenAFlagIsPassed) {
  const NCryptHandle key = OpenedKey();
  DWORD policy = 0;
  DWORD size = 0;

  EXPECT_EQ(ncrypt_.GetProperty(key.get(), NCRYPT_EXPORT_POLICY_PROPERTY,
                                reinterpret_cast<PBYTE>(&policy), sizeof policy, &size,
                                NCRYPT_SILENT_FLAG),
            NTE_BAD_FLAGS);
}

class CngSoftwareTest : public CngProviderTest {};
INSTANTIATE_TEST_SUITE_P(, CngSoftwareTest, testing::Values(CngKeyStore::kSoftware),
                         [](const auto&) { return "Software"; });

TEST_P(CngSoftwareTest, MakesIsolatedKeysWhereWindowsCan) {
  EXPECT_EQ(Create().handle["isolated"], true);
}

TEST_P(CngSoftwareTest, MakesPlainKeysWhereWindowsCannotIsolate) {
  key_store_.Behave({"no-isolation"});

  const ProviderKey key = Create();

  EXPECT_EQ(key.handle["isolated"], false);
  ExpectSigns(key);
}

TEST_P(CngSoftwareTest, MakesPlainKeysForEveryErrorOfIsolation) {
  key_store_.Behave({"no-isolation=0x80090020"});  // NTE_FAIL

  EXPECT_EQ(Create().handle["isolated"], false);
}

// VBS isolation needs a TPM.
TEST_P(CngSoftwareTest, MakesPlainKeysWithoutATpm) {
  key_store_.Behave({"no-tpm"});

  EXPECT_EQ(Create().handle["isolated"], false);
}

TEST_P(CngSoftwareTest, ReportsThatAnIsolatedKeyCanNoLongerBeDecrypted) {
  const ProviderKey key = Create();
  key_store_.Behave({"NCryptOpenKey=0x8009003a"});  // NTE_VBS_CANNOT_DECRYPT_KEY

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(key); }, "0x8009003a");
}

TEST_P(CngSoftwareTest, DeletesNothingIfAnIsolatedKeyCanNoLongerBeDecrypted) {
  const ProviderKey key = Create();
  key_store_.Behave({"NCryptOpenKey=0x8009003a"});

  EXPECT_NO_THROW(provider_.Delete(id_, key.handle, NoHurry()));
}

TEST_P(CngSoftwareTest, FailsWhenNeitherKindOfKeyCanBeMade) {
  key_store_.Behave({"NCryptFinalizeKey=0x80090010"});

  ExpectError(ErrorCode::kPermissionDenied, [&] { Create(); });
  EXPECT_EQ(key_store_.Keys(), 0u);
}

TEST_P(CngSoftwareTest, RefusesAndDeletesAKeyWhosePolicyCannotBeRead) {
  key_store_.Behave({"NCryptGetProperty=0x80090010"});

  ExpectError(ErrorCode::kPermissionDenied, [&] { Create(); });
  EXPECT_EQ(key_store_.Keys(), 0u);
}

// The provider behind DeviceKeyStore, whose pending records lead to the sweep.
class CngSweepTest : public CngProviderTest {
 protected:
  CreateResponse CreateInStore() {
    DeviceKeyStore store({.directory = directory_.path() / "keys", .now = [&] { return now_; }},
                         {std::make_shared<CngProvider>(GetParam())});
    return store.Create({.account_user_id = "a", .client_id = "c"}, NoHurry(), [] { return true; });
  }

  const TemporaryDirectory directory_;
  int64_t now_ = SystemUnixSeconds();
};
INSTANTIATE_TEST_SUITE_P(, CngSweepTest, testing::Values(CngKeyStore::kPlatform),
                         [](const auto&) { return "Platform"; });

TEST_P(CngSweepTest, AKeyThatCouldNotBeDeletedIsDeletedLater) {
  key_store_.Behave({"exportable", "NCryptDeleteKey=0x80280922"});
  ExpectError(ErrorCode::kPlatformError, [&] { CreateInStore(); });
  EXPECT_EQ(key_store_.Keys(), 1u);
  key_store_.Behave({});

  CreateInStore();  // too early: the process that made the key may still be working on it
  EXPECT_EQ(key_store_.Keys(), 2u);
  now_ += PendingKeys::kAbandonedAfterSeconds + 1;
  const CreateResponse key = CreateInStore();

  EXPECT_EQ(key_store_.Keys(), 2u);
  EXPECT_TRUE(key_store_.Has(File(key.key_id)));
}

TEST_P(CngSweepTest, AFailureThatMadeNoKeyLeavesNoPendingRecord) {
  key_store_.Behave({"NCryptFinalizeKey=0x80280922"});
  ExpectError(ErrorCode::kDeviceBusy, [&] { CreateInStore(); });

  EXPECT_EQ(CountEntries(directory_.path() / "keys"), 0u);
}

}  // namespace
}  // namespace device_key
