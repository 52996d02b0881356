#include "keystore/provider_set.h"

#include <gtest/gtest.h>

#include "keystore/test_providers.h"
#include "platform/expect_error.h"

namespace device_key {
namespace {

constexpr ProtectionPolicy kHardwareOnly = ProtectionPolicy::kHardwareOnly;
constexpr ProtectionPolicy kAllowFallback = ProtectionPolicy::kAllowOsProtectedNonextractable;
constexpr ProtectionClass kFallbackClass = ProtectionClass::kOsProtectedNonextractable;

class ProviderSetTest : public testing::Test {
 protected:
  MadeKey Create(ProtectionPolicy policy, std::vector<std::shared_ptr<KeyProvider>> providers) {
    return ProviderSet(std::move(providers)).Create(policy, AuthValue{}, NoHurry());
  }

  const std::shared_ptr<SoftwareProvider> hardware_ = std::make_shared<SoftwareProvider>();
  const std::shared_ptr<SoftwareProvider> fallback_ =
      std::make_shared<SoftwareProvider>(kFallbackClass, "fallback");
};

TEST_F(ProviderSetTest, PrefersHardwareInAnyOrder) {
  EXPECT_EQ(&Create(kAllowFallback, {fallback_, hardware_}).provider, hardware_.get());
  EXPECT_EQ(&Create(kHardwareOnly, {fallback_, hardware_}).provider, hardware_.get());
  EXPECT_EQ(fallback_->probes, 0);
}

TEST_F(ProviderSetTest, NamesTheClassInTheKeyId) {
  EXPECT_EQ(Create(kHardwareOnly, {hardware_}).key_id.protection_class(),
            ProtectionClass::kHardwareTpm);
  EXPECT_EQ(Create(kAllowFallback, {fallback_}).key_id.protection_class(), kFallbackClass);
}

// Has answered before, but cannot be reached now.
class LostConnectionProvider : public SoftwareProvider {
 public:
  ProviderKey Create(const KeyId&, const AuthValue&, const OperationLimits&) override {
    throw PassingError(ErrorCode::kHardwareUnavailable, "lost the connection");
  }
};

TEST_F(ProviderSetTest, UsesNoFallbackForHardwareThatHasAnsweredBefore) {
  ExpectError(
      ErrorCode::kHardwareUnavailable,
      [&] {
        Create(kAllowFallback, {std::make_shared<LostConnectionProvider>(), fallback_});
      },
      "lost the connection");
  EXPECT_EQ(fallback_->creations, 0);
}

struct WalkCase {
  ErrorCode hardware_error;
  bool lasting;
};

class ProviderWalkTest : public ProviderSetTest, public testing::WithParamInterface<WalkCase> {
 protected:
  const std::shared_ptr<FailingProvider> broken_ =
      std::make_shared<FailingProvider>(GetParam().hardware_error, "the reason");
};

TEST_P(ProviderWalkTest, UsesTheFallbackOnlyForAPermanentError) {
  if (GetParam().lasting) {
    EXPECT_EQ(&Create(kAllowFallback, {broken_, fallback_}).provider, fallback_.get());
  } else {
    ExpectError(
        GetParam().hardware_error,
        [&] {
          Create(kAllowFallback, {broken_, fallback_});
        },
        "the reason");
    EXPECT_EQ(fallback_->creations, 0);
  }
}

TEST_P(ProviderWalkTest, NamesAForbiddenFallbackOnlyForAPermanentError) {
  if (GetParam().lasting) {
    const std::string message = ExpectError(ErrorCode::kDegradedProtectionNotAllowed, [&] {
      Create(kHardwareOnly, {broken_, fallback_});
    });
    EXPECT_NE(message.find("os_protected_nonextractable"), std::string::npos);
    EXPECT_NE(message.find(ErrorCodeName(GetParam().hardware_error)), std::string::npos);
    EXPECT_NE(message.find("the reason"), std::string::npos);
  } else {
    ExpectError(GetParam().hardware_error, [&] { Create(kHardwareOnly, {broken_, fallback_}); });
    EXPECT_EQ(fallback_->probes, 0);
  }
  EXPECT_EQ(fallback_->creations, 0);
}

INSTANTIATE_TEST_SUITE_P(
    , ProviderWalkTest,
    testing::Values(
        WalkCase{ErrorCode::kHardwareUnavailable, true}, WalkCase{ErrorCode::kLibraryMissing, true},
        WalkCase{ErrorCode::kPermissionDenied, true},
        WalkCase{ErrorCode::kTpmOwnerAuthRequired, true},
        WalkCase{ErrorCode::kMissingEntitlement, true}, WalkCase{ErrorCode::kDeviceBusy, false},
        WalkCase{ErrorCode::kDeviceTimeout, false}, WalkCase{ErrorCode::kTpmLockout, false},
        WalkCase{ErrorCode::kSessionLocked, false}, WalkCase{ErrorCode::kUserCanceled, false},
        WalkCase{ErrorCode::kPinRequired, false}, WalkCase{ErrorCode::kStoreUnwritable, false},
        WalkCase{ErrorCode::kClosed, false}, WalkCase{ErrorCode::kPlatformError, false},
        WalkCase{ErrorCode::kCryptoError, false}),
    [](const auto& info) { return std::string(ErrorCodeName(info.param.hardware_error)); });

TEST_F(ProviderSetTest, ReportsTheHardwaresErrorWhenTheForbiddenFallbackIsMissingToo) {
  const auto broken = std::make_shared<FailingProvider>(ErrorCode::kPermissionDenied, "the reason");
  const auto no_fallback = std::make_shared<FailingProvider>(ErrorCode::kLibraryMissing,
                                                             "no module", kFallbackClass, "pkcs11");

  ExpectError(
      ErrorCode::kPermissionDenied,
      [&] {
        Create(kHardwareOnly, {broken, no_fallback});
      },
      "the reason");
}

TEST_F(ProviderSetTest, ReportsEveryErrorWhenTheAllowedFallbackIsMissingToo) {
  const auto broken = std::make_shared<FailingProvider>(ErrorCode::kPermissionDenied, "the reason");
  const auto no_fallback = std::make_shared<FailingProvider>(ErrorCode::kLibraryMissing,
                                                             "no module", kFallbackClass, "pkcs11");

  const std::string message = ExpectError(
      ErrorCode::kPermissionDenied,
      [&] {
        Create(kAllowFallback, {broken, no_fallback});
      },
      "the reason");
  EXPECT_NE(message.find("pkcs11: no module"), std::string::npos);
}

TEST_F(ProviderSetTest, ReportsThatTheAllowedFallbackNeedsAPin) {
  const auto broken =
      std::make_shared<FailingProvider>(ErrorCode::kHardwareUnavailable, "the reason");
  const auto locked =
      std::make_shared<FailingProvider>(ErrorCode::kPinRequired, "needs its PIN", kFallbackClass);

  ExpectError(
      ErrorCode::kPinRequired,
      [&] {
        Create(kAllowFallback, {broken, locked});
      },
      "needs its PIN");
}

TEST_F(ProviderSetTest, SaysWhenThePlatformHasNoProvider) {
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { Create(kHardwareOnly, {}); }, "on this platform");
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { Create(kAllowFallback, {}); }, "on this platform");
}

TEST_F(ProviderSetTest, SaysWhenThePlatformHasOnlyAForbiddenFallback) {
  ExpectError(
      ErrorCode::kDegradedProtectionNotAllowed, [&] { Create(kHardwareOnly, {fallback_}); },
      "on this platform");
}

// Like PKCS#11.
class ForeignProvider : public SoftwareProvider {
 public:
  explicit ForeignProvider(bool configured)
      : SoftwareProvider(kFallbackClass, "foreign"), configured_(configured) {}
  bool runs_foreign_code() const override { return true; }
  bool is_configured() const override { return configured_; }

 private:
  const bool configured_;
};

TEST_F(ProviderSetTest, HardwareOnlyRunsNoForeignCodeAndNamesAConfiguredFallback) {
  const auto broken = std::make_shared<FailingProvider>(ErrorCode::kLibraryMissing, "the reason");
  const auto configured = std::make_shared<ForeignProvider>(true);
  const std::string message = ExpectError(ErrorCode::kDegradedProtectionNotAllowed, [&] {
    Create(kHardwareOnly, {broken, configured});
  });
  EXPECT_NE(message.find("(foreign) is configured, and was not tried"), std::string::npos);
  EXPECT_EQ(configured->probes, 0);

  const auto possible = std::make_shared<ForeignProvider>(false);
  ExpectError(
      ErrorCode::kLibraryMissing,
      [&] {
        Create(kHardwareOnly, {broken, possible});
      },
      "the reason");
  EXPECT_EQ(possible->probes, 0);
}

TEST_F(ProviderSetTest, SupportRunsForeignCodeOnlyWhenItIsConfiguredNeededOrRequested) {
  const auto possible = std::make_shared<ForeignProvider>(false);
  const ProviderSet set({hardware_, possible});

  const nlohmann::ordered_json entry = set.Support(NoHurry())["providers"][1];
  EXPECT_EQ(possible->probes, 0);
  EXPECT_EQ(entry["asked"], false);
  EXPECT_EQ(entry["available"], false);
  EXPECT_EQ(entry["code"], nullptr);

  EXPECT_EQ(set.Support(NoHurry(), ProviderSet::Ask::kAll)["providers"][1]["asked"], true);
  EXPECT_EQ(possible->probes, 1);

  const auto broken = std::make_shared<FailingProvider>(ErrorCode::kLibraryMissing, "none");
  ProviderSet({broken, possible}).Support(NoHurry());
  EXPECT_EQ(possible->probes, 2);

  const auto configured = std::make_shared<ForeignProvider>(true);
  ProviderSet({hardware_, configured}).Support(NoHurry());
  EXPECT_EQ(configured->probes, 1);
}

TEST_F(ProviderSetTest, FindsAProviderByItsName) {
  const ProviderSet set({hardware_, fallback_});

  EXPECT_EQ(&set.Named("fallback"), fallback_.get());
  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { set.Named("elsewhere"); }, "\"elsewhere\"");
}

TEST_F(ProviderSetTest, SupportReportsTheAnswerOfEachProvider) {
  const auto broken = std::make_shared<FailingProvider>(ErrorCode::kLibraryMissing, "install it");

  EXPECT_EQ(
      ProviderSet({fallback_, broken}).Support(NoHurry()).dump(),
      R"({"providers":[)"
      R"({"provider":"failing","protectionClass":"hardware_tpm","asked":true,"available":false,)"
      R"("code":"library_missing","message":"install it","details":{}},)"
      R"({"provider":"fallback","protectionClass":"os_protected_nonextractable",)"
      R"("asked":true,"available":true,"code":null,"message":null,"details":{"kind":"memory"}}],)"
      R"("protectionClass":"os_protected_nonextractable","hardware":false})");
}

TEST_F(ProviderSetTest, SupportReportsHardware) {
  const nlohmann::ordered_json support = ProviderSet({fallback_, hardware_}).Support(NoHurry());

  EXPECT_EQ(support["protectionClass"], "hardware_tpm");
  EXPECT_EQ(support["hardware"], true);
}

TEST_F(ProviderSetTest, SupportReportsThatThereIsNoProvider) {
  EXPECT_EQ(ProviderSet({}).Support(NoHurry()).dump(),
            R"({"providers":[],"protectionClass":null,"hardware":false})");
}

TEST_F(ProviderSetTest, SupportSurvivesAProbeThatTimesOut) {
  class Hanging : public FailingProvider {
   public:
    Hanging() : FailingProvider(ErrorCode::kDeviceTimeout, "no answer") {}
    Availability Probe(const OperationLimits&) override {
      throw DeviceKeyError(ErrorCode::kDeviceTimeout, "no answer");
    }
  };

  const nlohmann::ordered_json support =
      ProviderSet({std::make_shared<Hanging>(), fallback_}).Support(NoHurry());

  EXPECT_EQ(support["providers"][0]["code"], "device_timeout");
  EXPECT_EQ(support["providers"][1]["available"], true);
}

}  // namespace
}  // namespace device_key
