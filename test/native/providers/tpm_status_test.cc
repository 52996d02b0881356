#include "providers/tpm2/tpm_status.h"

#include <gtest/gtest.h>

#include <string>

#include "platform/expect_error.h"

namespace device_key {
namespace {

struct StatusCase {
  TSS2_RC rc;
  ErrorCode code;
  const char* part_of_message;
};

void PrintTo(const StatusCase& c, std::ostream* out) { *out << std::hex << "0x" << c.rc; }

class TpmErrorTest : public testing::TestWithParam<StatusCase> {};

TEST_P(TpmErrorTest, HasTheCodeAndTheCure) {
  const DeviceKeyError error = TpmError("sign with the key", GetParam().rc);

  EXPECT_EQ(error.code(), GetParam().code) << error.what();
  EXPECT_EQ(error.platform_status(), GetParam().rc);
  EXPECT_EQ(std::string(error.what()).find("could not sign with the key: "), 0u) << error.what();
  EXPECT_NE(std::string(error.what()).find(GetParam().part_of_message), std::string::npos)
      << error.what();
}

INSTANTIATE_TEST_SUITE_P(
    Measured, TpmErrorTest,
    testing::Values(
        // No slot for another object or session, from the TPM and from resource managers.
        StatusCase{0x902, ErrorCode::kDeviceBusy, "/dev/tpmrm0"},
        StatusCase{0x903, ErrorCode::kDeviceBusy, "/dev/tpmrm0"},
        StatusCase{0x0b0902, ErrorCode::kDeviceBusy, "/dev/tpmrm0"},
        StatusCase{0x0c0903, ErrorCode::kDeviceBusy, "/dev/tpmrm0"},
        StatusCase{0x922, ErrorCode::kDeviceBusy, "try again"},  // TPM_RC_RETRY
        StatusCase{0x908, ErrorCode::kDeviceBusy, "try again"},  // TPM_RC_YIELDED
        StatusCase{0x90a, ErrorCode::kDeviceBusy, "try again"},  // TPM_RC_TESTING
        StatusCase{0x1df, ErrorCode::kKeyLost, "enroll again"},  // integrity of parameter 1
        StatusCase{0x0c01df, ErrorCode::kKeyLost, "enroll again"},
        StatusCase{0x921, ErrorCode::kTpmLockout, "tpm2_dictionarylockout"},
        StatusCase{0x1d5, ErrorCode::kStoreCorrupt, "damaged"},          // size of parameter 1
        StatusCase{0x2e5, ErrorCode::kStoreCorrupt, "damaged"},          // binding of parameter 2
        StatusCase{0x2a6, ErrorCode::kHardwareUnavailable, "P-256"},     // curve
        StatusCase{0x0b0143, ErrorCode::kHardwareUnavailable, "lacks"},  // command code
        StatusCase{0x185, ErrorCode::kHardwareUnavailable, "hierarchy"},
        StatusCase{0x101, ErrorCode::kPlatformError, "failure mode"},
        StatusCase{0x100, ErrorCode::kPlatformError, "TPM2_Startup"},
        // These depend on the command that failed, so they have no cure here.
        StatusCase{0x910, ErrorCode::kPlatformError, ""},
        StatusCase{0x9a2, ErrorCode::kPlatformError, ""},
        StatusCase{0x98e, ErrorCode::kPlatformError, ""},
        // A software layer's code must not be read as the TPM's: 0x70001 is no TPM_RC.
        StatusCase{0x70101, ErrorCode::kPlatformError, ""},
        StatusCase{0x60902, ErrorCode::kPlatformError, ""}));

TEST(TpmStatusTest, AnOrphanedHandleIsStale) {
  EXPECT_TRUE(IsStaleHandle(0x910));     // TPM_RC_REFERENCE_H0
  EXPECT_TRUE(IsStaleHandle(0x916));     // TPM_RC_REFERENCE_H6
  EXPECT_TRUE(IsStaleHandle(0x18b));     // TPM_RC_HANDLE for handle 1
  EXPECT_TRUE(IsStaleHandle(0x0b0910));  // the same from a resource manager
  for (const TSS2_RC rc : {0x0u, 0x917u, 0x918u, 0x902u, 0x9a2u, 0x70007u, 0x70910u, 0xa000au}) {
    EXPECT_FALSE(IsStaleHandle(rc)) << std::hex << rc;
  }
}

TEST(TpmStatusTest, AWrongAuthValueIsAnAuthFailureWithOrWithoutDictionaryAttackProtection) {
  EXPECT_TRUE(IsAuthFailure(0x9a2));  // TPM_RC_BAD_AUTH, session 1
  EXPECT_TRUE(IsAuthFailure(0x98e));  // TPM_RC_AUTH_FAIL, session 1
  EXPECT_TRUE(IsAuthFailure(0x0c09a2));
  for (const TSS2_RC rc : {0x0u, 0x921u, 0x922u, 0x1dfu, 0x910u, 0x709a2u}) {
    EXPECT_FALSE(IsAuthFailure(rc)) << std::hex << rc;
  }
}

TEST(TpmStatusTest, AFullTpmDiffersFromFullSessions) {
  EXPECT_TRUE(IsObjectMemory(0x902));
  EXPECT_TRUE(IsObjectMemory(0x0b0902));
  EXPECT_FALSE(IsObjectMemory(0x903));
  EXPECT_FALSE(IsObjectMemory(0x70902));
}

TEST(TpmStatusTest, KnowsTheCodesThatAskToResubmitTheCommand) {
  EXPECT_TRUE(AsksToResubmit(0x922));     // TPM_RC_RETRY
  EXPECT_TRUE(AsksToResubmit(0x908));     // TPM_RC_YIELDED
  EXPECT_TRUE(AsksToResubmit(0x90a));     // TPM_RC_TESTING
  EXPECT_TRUE(AsksToResubmit(0x0b0922));  // the same from a resource manager
  for (const TSS2_RC rc : {0x0u, 0x902u, 0x909u, 0x920u, 0x921u, 0x70922u}) {
    EXPECT_FALSE(AsksToResubmit(rc)) << std::hex << rc;
  }
}

TEST(TpmStatusTest, ADeadSoftwareLayerIsAConnectionFault) {
  EXPECT_TRUE(IsConnectionFault(0x70007));  // ESYS: bad sequence
  EXPECT_TRUE(IsConnectionFault(0x80007));  // SYS: bad sequence
  EXPECT_TRUE(IsConnectionFault(0xa000a));  // TCTI: I/O error
  EXPECT_TRUE(IsConnectionFault(0xa0008));  // TCTI: no connection
  EXPECT_TRUE(IsConnectionFault(0x80011));  // SYS: malformed response
}

TEST(TpmStatusTest, ACodeOfTheTpmIsNoConnectionFault) {
  for (const TSS2_RC rc : {0x0u, 0x7u, 0xau, 0x902u, 0x910u, 0x0b0902u, 0x0c000au}) {
    EXPECT_FALSE(IsConnectionFault(rc)) << std::hex << rc;
  }
}

TEST(TpmStatusTest, RemovesTheHandleParameterOrSessionNumber) {
  EXPECT_EQ(BareTpmCode(0x1df), 0x9fu);
  EXPECT_EQ(BareTpmCode(0x2df), 0x9fu);
  EXPECT_EQ(BareTpmCode(0x9a2), 0xa2u);
  EXPECT_EQ(BareTpmCode(0x98e), 0x8eu);
  EXPECT_EQ(BareTpmCode(0x902), 0x902u);
  EXPECT_EQ(BareTpmCode(0x70007), 0u);
}

TEST(TpmStatusTest, SuccessIsNoError) { EXPECT_NO_THROW(CheckTpm("do nothing", 0)); }

}  // namespace
}  // namespace device_key
