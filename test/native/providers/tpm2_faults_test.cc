// TPMs that restart, hang or disappear, and files that are not TPMs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>

#include "platform/temporary_directory.h"
#include "providers/tpm2_fixture.h"
#include "support/tpm_server.h"

namespace device_key {
namespace {

using std::chrono::milliseconds;

class Tpm2FaultsTest : public Tpm2Test {};

TEST_F(Tpm2FaultsTest, SignsAgainAfterTheTpmWasRestarted) {
  const auto provider = NewProvider();
  const TestKey first = CreateKey(*provider);
  const TestKey second = CreateKey(*provider);

  for (int i = 0; i < 3; ++i) {
    tpm_.Restart();
    EXPECT_TRUE(SignsRightly(*provider, first));
    EXPECT_TRUE(SignsRightly(*provider, second));
  }
}

TEST_F(Tpm2FaultsTest, CreatesAndProbesAfterTheTpmWasRestarted) {
  const auto provider = NewProvider();
  CreateKey(*provider);
  tpm_.Restart();
  EXPECT_TRUE(SignsRightly(*provider, CreateKey(*provider)));

  tpm_.Restart();
  EXPECT_TRUE(provider->Probe(Soon()).available());
}

TEST_F(Tpm2FaultsTest, SaysThatTheTpmIsGoneAndSignsWhenItIsBack) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);

  tpm_.Kill();
  ExpectError(ErrorCode::kHardwareUnavailable, [&] { Sign(*provider, key); });
  tpm_.Start();

  EXPECT_TRUE(SignsRightly(*provider, key));
}

TEST_F(Tpm2FaultsTest, UnloadsAKeyFromADeadTpmWithoutAnError) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Kill();

  EXPECT_NO_THROW(provider->Unload(key.id, Soon()));
  EXPECT_NO_THROW(provider->Delete(key.id, key.key.handle, Soon()));
}

// Hanging TPMs.

TEST_F(Tpm2FaultsTest, StopsWaitingForAHungTpmAtTheDeadline) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Pause();
  const auto deadline = std::chrono::steady_clock::now() + milliseconds(200);

  ExpectError(
      ErrorCode::kDeviceTimeout, [&] { Sign(*provider, key, "message", {deadline}); }, "timeoutMs");

  const auto end = std::chrono::steady_clock::now();
  EXPECT_GE(end, deadline);
  EXPECT_LT(end, deadline + std::chrono::seconds(1));
}

TEST_F(Tpm2FaultsTest, StopsUnloadingADeletedKeyFromAHungTpmAtTheDeadline) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Pause();
  const auto deadline = std::chrono::steady_clock::now() + milliseconds(200);

  EXPECT_NO_THROW(provider->Delete(key.id, key.key.handle, {deadline}));

  EXPECT_LT(std::chrono::steady_clock::now(), deadline + std::chrono::seconds(1));
}

TEST_F(Tpm2FaultsTest, SignsWhenAHungTpmAnswersAgain) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Pause();
  ExpectError(ErrorCode::kDeviceTimeout,
              [&] { Sign(*provider, key, "message", Within(milliseconds(100))); });

  tpm_.Resume();

  EXPECT_TRUE(SignsRightly(*provider, key));
}

TEST_F(Tpm2FaultsTest, TimeoutsDoNotUseUpTheTpmsSlots) {
  auto provider = NewProvider();
  const TestKey first = CreateKey(*provider);
  const TestKey second = CreateKey(*provider);
  for (int i = 0; i < 4; ++i) {
    Sign(*provider, first);
    Sign(*provider, second);
    tpm_.Pause();
    ExpectError(ErrorCode::kDeviceTimeout,
                [&] { Sign(*provider, first, "message", Within(milliseconds(50))); });
    tpm_.Resume();
  }

  EXPECT_TRUE(SignsRightly(*provider, first));
  provider.reset();
  EXPECT_EQ(tpm_.Capability("handles-transient"), "");
}

TEST_F(Tpm2FaultsTest, AnInterruptEndsAHungCommandImmediately) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Pause();
  Interrupt interrupt;
  std::thread closer([&] {
    std::this_thread::sleep_for(milliseconds(50));
    interrupt.Trigger();
  });

  // Waiting until the deadline would exceed the suite's time limit.
  ExpectError(ErrorCode::kClosed,
              [&] { Sign(*provider, key, "message", Within(std::chrono::hours(1), &interrupt)); });
  closer.join();
}

TEST_F(Tpm2FaultsTest, ATriggeredInterruptEndsAWaitForAnotherThreadsCommand) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Pause();
  Interrupt hung_interrupt;
  std::thread hung([&] {
    ExpectError(ErrorCode::kClosed, [&] {
      Sign(*provider, key, "message", Within(std::chrono::hours(1), &hung_interrupt));
    });
  });
  Interrupt waiting_interrupt;
  waiting_interrupt.Trigger();

  ExpectError(ErrorCode::kClosed, [&] {
    Sign(*provider, key, "message", Within(std::chrono::hours(1), &waiting_interrupt));
  });
  hung_interrupt.Trigger();
  hung.join();
}

TEST_F(Tpm2FaultsTest, ReportsBusyWhileAnotherThreadUsesTheTpm) {
  const auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  tpm_.Pause();
  Interrupt interrupt;
  std::atomic<bool> started = false;
  std::thread hung([&] {
    started = true;
    ExpectError(ErrorCode::kClosed, [&] {
      Sign(*provider, key, "message", Within(std::chrono::hours(1), &interrupt));
    });
  });
  while (!started) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(50));

  ExpectError(
      ErrorCode::kDeviceBusy, [&] { Sign(*provider, key, "message", Within(milliseconds(50))); },
      "try again");
  interrupt.Trigger();
  hung.join();
}

// Missing TPMs, and TPMs without permission.

class NoTpmTest : public ::testing::Test {
 protected:
  // Create and Probe must report the same error.
  void ExpectUnavailable(const std::string& tcti, ErrorCode code, const std::string& cure) {
    const auto provider = ProviderAt(tcti);
    ExpectError(
        code, [&] { CreateKey(*provider); }, cure);
    const Availability availability = provider->Probe(Soon());
    ASSERT_FALSE(availability.available());
    EXPECT_EQ(availability.error->code(), code) << availability.error->what();
  }

  const TemporaryDirectory directory_;
};

TEST_F(NoTpmTest, AMissingNodeNamesTheFirmware) {
  ExpectUnavailable("device:" + (directory_ / "tpmrm0").string(), ErrorCode::kHardwareUnavailable,
                    "firmware");
}

TEST_F(NoTpmTest, AMissingSocketNamesSwtpm) {
  ExpectUnavailable("swtpm:path=" + (directory_ / "tpm").string(), ErrorCode::kHardwareUnavailable,
                    "Start swtpm");
}

TEST_F(NoTpmTest, ASocketWithoutListenerNamesSwtpm) {
  std::string path;
  {
    const TpmServer server([](ByteView) { return Bytes{}; });
    path = directory_ / "left";
    std::filesystem::rename(server.socket_path(), path);
  }
  ExpectUnavailable("swtpm:path=" + path, ErrorCode::kHardwareUnavailable, "Start swtpm");
}

TEST_F(NoTpmTest, APortWithoutListenerNamesSwtpm) {
  ExpectUnavailable("swtpm:host=127.0.0.1,port=1", ErrorCode::kHardwareUnavailable, "Start swtpm");
}

TEST_F(NoTpmTest, ATooLongSocketPathIsRefused) {
  ExpectUnavailable("swtpm:path=/tmp/" + std::string(103, 'x'), ErrorCode::kInvalidParams,
                    "107 bytes");
}

TEST_F(NoTpmTest, ANodeThatIsNoTpmIsRefused) {
  for (const char* node : {"/dev/null", "/dev/zero", "/dev/full"}) {
    ExpectUnavailable("device:" + std::string(node), ErrorCode::kHardwareUnavailable, node);
  }
}

TEST_F(NoTpmTest, AFileIsRefusedAndNotChanged) {
  const std::string path = directory_ / "letter";
  WriteFile(path, "Dear reader");

  ExpectUnavailable("device:" + path, ErrorCode::kHardwareUnavailable, path);

  EXPECT_EQ(ReadFile(path), "Dear reader");
}

TEST_F(NoTpmTest, ADirectoryIsRefused) {
  ExpectUnavailable("device:" + directory_.path().string(), ErrorCode::kHardwareUnavailable,
                    directory_.path().string());
}

// Like ExpectUnavailable, in a process without root's rights.
int RefusalWithoutPrivileges(const std::string& tcti, const std::string& cure) {
  const pid_t child = fork();
  if (child == 0) {
    int result = 1;
    if (geteuid() != 0 || seteuid(65534) == 0) {
      try {
        CreateKey(*ProviderAt(tcti));
      } catch (const DeviceKeyError& error) {
        const bool right = error.code() == ErrorCode::kPermissionDenied &&
                           std::string(error.what()).find(cure) != std::string::npos;
        if (!right) fprintf(stderr, "%s\n", error.what());
        result = right ? 0 : 2;
      }
    }
    _exit(result);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The permission error comes first: only a process that may open the file can find out its type.
TEST_F(NoTpmTest, ANodeWithoutPermissionNamesTheGroup) {
  chmod(directory_.path().c_str(), 0755);
  const std::string node = directory_ / "tpmrm0";
  WriteFile(node, "");
  chmod(node.c_str(), 0);

  EXPECT_EQ(RefusalWithoutPrivileges("device:" + node, "usermod -aG tss"), 0);
}

TEST_F(NoTpmTest, ASocketWithoutPermissionIsReported) {
  const TpmServer server([](ByteView) { return Bytes{}; });
  chmod(server.socket_path().c_str(), 0);
  chmod(std::filesystem::path(server.socket_path()).parent_path().c_str(), 0755);

  EXPECT_EQ(RefusalWithoutPrivileges(server.tcti(), "read and write access to the socket"), 0);
}

// Malformed responses cause a typed error before the deadline, and no read past the received bytes
// (AddressSanitizer checks that).

class MalformedResponseTest : public ::testing::Test {
 protected:
  static Bytes Header(uint32_t size, uint32_t code = 0, uint16_t tag = 0x8001) {
    Bytes header;
    for (const int shift : {8, 0}) header.push_back(static_cast<uint8_t>(tag >> shift));
    for (const uint32_t value : {size, code}) {
      for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<uint8_t>(value >> shift));
    }
    return header;
  }

  // The error code if the server sends `response` to every command.
  static ErrorCode CreateAgainst(const std::optional<Bytes>& response) {
    const TpmServer server([&](ByteView) { return response; });
    const auto provider = ProviderAt(server.tcti());
    const Availability availability = provider->Probe(Within(milliseconds(100)));
    EXPECT_FALSE(availability.available());
    try {
      provider->Create(KeyId::Generate(ProtectionClass::kHardwareTpm), AuthValue{},
                       Within(milliseconds(100)));
    } catch (const DeviceKeyError& error) {
      return error.code();
    }
    ADD_FAILURE() << "made a key of nonsense";
    return ErrorCode::kCryptoError;
  }
};

TEST_F(MalformedResponseTest, AClosedConnectionIsALostTpm) {
  EXPECT_EQ(CreateAgainst(Bytes{}), ErrorCode::kHardwareUnavailable);
}

TEST_F(MalformedResponseTest, ASilentServerTimesOut) {
  EXPECT_EQ(CreateAgainst(std::nullopt), ErrorCode::kDeviceTimeout);
}

TEST_F(MalformedResponseTest, AResponseWithAnIncompleteHeaderTimesOut) {
  EXPECT_EQ(CreateAgainst(Bytes{0x80}), ErrorCode::kDeviceTimeout);
  Bytes short_header = Header(10);
  short_header.pop_back();
  EXPECT_EQ(CreateAgainst(short_header), ErrorCode::kDeviceTimeout);
}

TEST_F(MalformedResponseTest, AResponseShorterThanItsSizeFieldTimesOut) {
  EXPECT_EQ(CreateAgainst(Header(11)), ErrorCode::kDeviceTimeout);
}

TEST_F(MalformedResponseTest, ASizeFieldBelowTheHeaderSizeIsALostTpm) {
  EXPECT_EQ(CreateAgainst(Header(0)), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(CreateAgainst(Header(9)), ErrorCode::kHardwareUnavailable);
}

TEST_F(MalformedResponseTest, ASizeFieldAboveTheMaximumIsALostTpm) {
  EXPECT_EQ(CreateAgainst(Header(4097)), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(CreateAgainst(Header(0xFFFFFFFF)), ErrorCode::kHardwareUnavailable);
}

TEST_F(MalformedResponseTest, AResponseLongerThanItsSizeFieldIsALostTpm) {
  Bytes two = Header(10, 0x101);
  const Bytes second = Header(10, 0x101);
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(CreateAgainst(two), ErrorCode::kHardwareUnavailable);
  EXPECT_EQ(CreateAgainst(Bytes(5000, 0xFF)), ErrorCode::kHardwareUnavailable);
}

TEST_F(MalformedResponseTest, ASuccessWithoutParametersIsAPlatformError) {
  EXPECT_EQ(CreateAgainst(Header(10)), ErrorCode::kPlatformError);
}

TEST_F(MalformedResponseTest, ATpmInFailureModeIsReported) {
  EXPECT_EQ(CreateAgainst(Header(10, 0x101)), ErrorCode::kPlatformError);
}

// The list has more elements if it is read as the returned capability than if it is read as the
// requested one.
TEST_F(MalformedResponseTest, AnotherCapabilityThanRequestedIsRefused) {
  Bytes response = Header(10 + 1 + 8 + 169 * 6);
  const Bytes start{0 /* no more */, 0, 0, 0, 0 /* TPM_CAP_ALGS */, 0, 0, 0, 169};
  response.insert(response.end(), start.begin(), start.end());
  response.resize(response.size() + 169 * 6, 0xFF);

  EXPECT_EQ(CreateAgainst(response), ErrorCode::kPlatformError);
  const TpmServer server([&](ByteView) { return response; });
  const Availability availability = ProviderAt(server.tcti())->Probe(Within(milliseconds(100)));
  ASSERT_FALSE(availability.available());
  EXPECT_EQ(availability.error->code(), ErrorCode::kHardwareUnavailable)
      << availability.error->what();
}

TEST_F(MalformedResponseTest, RandomResponsesAreRefused) {
  std::mt19937 random(20240601);  // the same every time
  const TpmServer server([&](ByteView) {
    Bytes response(random() % 300);
    for (uint8_t& byte : response) byte = static_cast<uint8_t>(random());
    // Most responses have a valid header, so that the rest is parsed.
    if (random() % 8 != 0 && response.size() >= 10) {
      const Bytes header =
          Header(static_cast<uint32_t>(response.size()), 0, random() % 2 == 0 ? 0x8001 : 0x8002);
      std::copy(header.begin(), header.end(), response.begin());
    }
    return response;
  });
  const auto provider = ProviderAt(server.tcti());
  const TestKey key{.key = {}};

  for (int i = 0; i < 1000; ++i) {
    try {
      provider->Create(key.id, key.auth(), Within(milliseconds(20)));
      ADD_FAILURE() << "made a key of nonsense";
    } catch (const DeviceKeyError&) {
    }
  }
}

// Real responses with one changed byte reach more code than random ones. The result is an error or
// a signature, which DeviceKeyStore verifies.
TEST_F(Tpm2FaultsTest, ResponsesWithAChangedByteCauseNoCrash) {
  TpmLine line(tpm_.socket_path());
  std::mt19937 random(20240601);
  std::atomic<bool> honest = true;
  const TpmServer server([&](ByteView command) -> std::optional<Bytes> {
    Bytes response = line.Exchange(command);
    if (!honest && random() % 3 == 0) {
      response[random() % response.size()] = static_cast<uint8_t>(random());
    }
    return response;
  });
  auto provider = ProviderAt(server.tcti());
  const TestKey key = CreateKey(*provider);

  for (int i = 0; i < 300; ++i) {
    const OperationLimits limits = Within(milliseconds(20));
    honest = false;
    try {
      if (i % 3 == 0) provider->Create(key.id, key.auth(), limits);
      if (i % 3 == 1) provider->Probe(limits);
      if (i % 3 == 2) Sign(*provider, key, "message", limits);
    } catch (const DeviceKeyError&) {
    }
  }

  // The provider's handles may be wrong now, so restart the TPM.
  honest = true;
  provider.reset();
  tpm_.Restart();
  EXPECT_TRUE(SignsRightly(*ProviderAt(server.tcti()), key));
}

}  // namespace
}  // namespace device_key
