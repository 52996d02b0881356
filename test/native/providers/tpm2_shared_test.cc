// Other programs use a TPM without a resource manager while we are connected to it.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "providers/tpm2_fixture.h"
#include "support/tpm_server.h"

namespace device_key {
namespace {

class BareTpmTest : public Tpm2Test {
 protected:
  // The actions of other programs while our provider stays connected.
  void Others(const std::string& command_line) {
    if (system(("export TPM2TOOLS_TCTI='" + server_.tcti() + "'; exec 2>&1; " + command_line)
                   .c_str()) != 0) {
      throw std::runtime_error("failed: " + command_line);
    }
  }

  // TPM2_FlushContext of a transient object of any program.
  void Flush(uint8_t slot) {
    line_.Exchange(Bytes{0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65, 0x80, 0, 0, slot});
  }

  // A restart, as after a suspend: all loaded objects are gone.
  void Reset() {
    Others("swtpm_ioctl --unix " + tpm_.socket_path() + ".ctrl -i");
    line_.Exchange(Bytes{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0});  // TPM2_Startup(CLEAR)
  }

  // The swtpm TCTI of tpm2-tools also needs the control socket.
  void SetUp() override {
    std::filesystem::create_symlink(tpm_.socket_path() + ".ctrl", server_.socket_path() + ".ctrl");
  }

  int LoadedObjects() {
    // TPM2_GetCapability(TPM_CAP_HANDLES, 0x80000000, 16); the count is the response's fifth word.
    const Bytes response = line_.Exchange(
        Bytes{0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7A, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 16});
    return response.at(18);
  }

  // Two keys with one binding: only their signatures differ.
  void LoadTwoKeys() {
    first_ = CreateKey(*provider_);
    second_ = CreateKey(*provider_);
    ASSERT_TRUE(SignsRightly(*provider_, first_));
    ASSERT_TRUE(SignsRightly(*provider_, second_));
  }

  TpmLine line_{tpm_.socket_path()};
  const TpmServer server_{[this](ByteView command) { return line_.Exchange(command); }};
  std::unique_ptr<Tpm2Provider> provider_ = ProviderAt(server_.tcti());
  TestKey first_{.key = {}};
  TestKey second_{.key = {}};
};

TEST_F(BareTpmTest, LoadsAKeyAgainThatOthersFlushed) {
  LoadTwoKeys();

  for (uint8_t slot = 0; slot < 3; ++slot) {
    Flush(slot);
    EXPECT_TRUE(SignsRightly(*provider_, first_)) << int{slot};
    EXPECT_TRUE(SignsRightly(*provider_, second_)) << int{slot};
  }
}

TEST_F(BareTpmTest, CreatesAfterOthersFlushedTheParent) {
  LoadTwoKeys();
  Others("tpm2_flushcontext -t");

  EXPECT_TRUE(SignsRightly(*provider_, CreateKey(*provider_)));
}

TEST_F(BareTpmTest, LoadsAKeyAgainAfterAReset) {
  LoadTwoKeys();

  Reset();
  EXPECT_TRUE(SignsRightly(*provider_, first_));
  EXPECT_TRUE(SignsRightly(*provider_, second_));

  Reset();
  EXPECT_TRUE(SignsRightly(*provider_, second_));
  EXPECT_TRUE(SignsRightly(*provider_, first_));
}

TEST_F(BareTpmTest, AfterAResetNoKeySignsForAnother) {
  LoadTwoKeys();
  TestKey third = CreateKey(*provider_);
  Reset();

  // The new keys get handles that other keys had before.
  for (TestKey* key : {&third, &second_, &first_, &third, &first_, &second_}) {
    EXPECT_TRUE(SignsRightly(*provider_, *key));
  }
}

TEST_F(BareTpmTest, CreatesAndProbesAfterAReset) {
  LoadTwoKeys();
  Reset();
  EXPECT_TRUE(SignsRightly(*provider_, CreateKey(*provider_)));

  Reset();
  EXPECT_TRUE(provider_->Probe(Soon()).available());
  EXPECT_TRUE(SignsRightly(*provider_, first_));
}

TEST_F(BareTpmTest, ReportsThatTheTpmWasNotStarted) {
  LoadTwoKeys();
  Others("swtpm_ioctl --unix " + tpm_.socket_path() + ".ctrl -i");

  ExpectError(
      ErrorCode::kPlatformError, [&] { Sign(*provider_, first_); }, "TPM2_Startup");
}

TEST_F(BareTpmTest, LoadsItsKeyAgainWhenAnotherClientsKeyIsAtItsHandle) {
  LoadTwoKeys();
  Flush(1);
  Flush(2);
  // Another client's keys, with a different authValue, get the handles of our keys.
  Others("tpm2_createprimary -Q -G ecc -p theirs -c " + server_.socket_path() + ".1");

  EXPECT_TRUE(SignsRightly(*provider_, first_));
  EXPECT_TRUE(SignsRightly(*provider_, second_));
}

TEST_F(BareTpmTest, DoesNotFlushObjectsOfOthersWhenDestroyed) {
  LoadTwoKeys();
  Reset();
  for (int i = 1; i <= 3; ++i) {
    Others("tpm2_createprimary -Q -G ecc -c " + server_.socket_path() + ".1");
  }
  provider_->Unload(first_.id, Soon());
  provider_->Unload(second_.id, Soon());

  EXPECT_EQ(LoadedObjects(), 3);
}

TEST_F(BareTpmTest, AClearOnTheLiveConnectionLosesTheKey) {
  LoadTwoKeys();
  Others("tpm2_clear");

  ExpectError(ErrorCode::kKeyLost, [&] { Sign(*provider_, first_); });
  EXPECT_TRUE(SignsRightly(*provider_, CreateKey(*provider_)));
}

TEST_F(BareTpmTest, AClearOnTheLiveConnectionLosesEvictedKeys) {
  LoadTwoKeys();
  CreateKey(*provider_);
  CreateKey(*provider_);
  Others("tpm2_clear");

  ExpectError(ErrorCode::kKeyLost, [&] { Sign(*provider_, first_); });
}

class BareTpmWithSrkTest : public BareTpmTest {
 protected:
  void SetUp() override {
    BareTpmTest::SetUp();
    MakeSrk("-G ecc");
    LoadTwoKeys();
    provider_->Unload(first_.id, Soon());
    provider_->Unload(second_.id, Soon());
  }

  void MakeSrk(const std::string& how) {
    const std::string context = server_.socket_path() + ".srk";
    Others("tpm2_createprimary -Q " + how + " -c " + context + " && tpm2_evictcontrol -Q -c " +
           context + " 0x81000001 && tpm2_flushcontext -t");
  }
};

TEST_F(BareTpmWithSrkTest, AParentRemovedOnTheLiveConnectionLosesTheKey) {
  Others("tpm2_evictcontrol -Q -c 0x81000001");

  ExpectError(
      ErrorCode::kKeyLost, [&] { Sign(*provider_, first_); }, "no longer there");
  EXPECT_TRUE(SignsRightly(*provider_, CreateKey(*provider_)));
}

TEST_F(BareTpmWithSrkTest, AParentReplacedOnTheLiveConnectionServesNewKeys) {
  Others("tpm2_evictcontrol -Q -c 0x81000001");
  MakeSrk("-G rsa");

  ExpectError(ErrorCode::kKeyLost, [&] { Sign(*provider_, first_); });
  EXPECT_TRUE(SignsRightly(*provider_, CreateKey(*provider_)));
}

TEST_F(BareTpmWithSrkTest, AParentReplacedOnTheLiveConnectionIsNoMissingPassword) {
  Others("tpm2_evictcontrol -Q -c 0x81000001");
  MakeSrk("-G rsa");

  EXPECT_TRUE(SignsRightly(*provider_, CreateKey(*provider_)));
}

}  // namespace
}  // namespace device_key
