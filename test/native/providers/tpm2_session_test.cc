// What others on the way to the TPM can see of a new key, and do to it.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "providers/tpm2/key_templates.h"
#include "providers/tpm2_fixture.h"
#include "providers/tpm_server.h"

namespace device_key {
namespace {

const KeyBinding kOwner{"account-1", "client-1"};

uint32_t CodeOf(ByteView message) {
  return static_cast<uint32_t>(message[6]) << 24 | static_cast<uint32_t>(message[7]) << 16 |
         static_cast<uint32_t>(message[8]) << 8 | message[9];
}

class Tpm2SessionTest : public Tpm2Test {
 protected:
  using Change = std::function<void(uint32_t code, Bytes& response)>;

  // A provider whose TPM's answers `change` sees first.
  std::unique_ptr<Tpm2Provider> Through(Change change) {
    change_ = std::move(change);
    return ProviderAt(server_.tcti());
  }

  std::vector<Bytes> Commands(uint32_t code) {
    const std::lock_guard lock(mutex_);
    std::vector<Bytes> found;
    for (const Bytes& command : commands_) {
      if (CodeOf(command) == code) found.push_back(command);
    }
    return found;
  }

  bool HasCrossed(ByteView secret) {
    const std::lock_guard lock(mutex_);
    return std::any_of(commands_.begin(), commands_.end(), [&](const Bytes& command) {
      return std::search(command.begin(), command.end(), secret.begin(), secret.end()) !=
             command.end();
    });
  }

  std::mutex mutex_;
  std::vector<Bytes> commands_;
  Change change_;
  TpmLine line_{tpm_.socket_path()};
  const TpmServer server_{[this](ByteView command) -> std::optional<Bytes> {
    {
      const std::lock_guard lock(mutex_);
      commands_.emplace_back(command.begin(), command.end());
    }
    Bytes response = line_.Exchange(command);
    change_(CodeOf(command), response);
    return response;
  }};
};

TEST_F(Tpm2SessionTest, ANewKeysAuthValueDoesNotCrossTheBusInTheClear) {
  const auto provider = Through([](uint32_t, Bytes&) {});
  const TPM2B_AUTH auth = BindingAuthValue(kOwner);
  const ByteView secret(auth.buffer, auth.size);

  const TestKey key = CreateKey(*provider, kOwner);

  ASSERT_EQ(Commands(TPM2_CC_Create).size(), 1u);
  EXPECT_FALSE(HasCrossed(secret));
  Sign(*provider, key);
  EXPECT_TRUE(HasCrossed(secret)) << "what a password session shows, this test would see";
}

TEST_F(Tpm2SessionTest, NorDoesTheOneThatAKeyIsBoundWith) {
  const auto provider = Through([](uint32_t, Bytes&) {});
  const TestKey key = CreateKey(*provider, {});
  const TPM2B_AUTH auth = BindingAuthValue(kOwner);

  provider->Bind(key.id, key.key.handle, kOwner, Soon());

  ASSERT_EQ(Commands(TPM2_CC_ObjectChangeAuth).size(), 1u);
  EXPECT_FALSE(HasCrossed({auth.buffer, auth.size}));
}

TEST_F(Tpm2SessionTest, EachKeyIsMadeInASessionOfItsOwn) {
  const auto provider = Through([](uint32_t, Bytes&) {});

  CreateKey(*provider, kOwner);
  CreateKey(*provider, kOwner);

  const std::vector<Bytes> starts = Commands(TPM2_CC_StartAuthSession);
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_NE(starts[0], starts[1]);
}

// A name, a point, a nonce, the HMAC itself: whatever is changed on the way, the key is not taken.
TEST_F(Tpm2SessionTest, AnAnswerThatWasChangedOnItsWayIsRefused) {
  for (const size_t from_the_end : {1u, 40u, 100u, 300u}) {
    const auto provider = Through([from_the_end](uint32_t code, Bytes& response) {
      if (code == TPM2_CC_Create) response[response.size() - from_the_end] ^= 1;
    });

    EXPECT_THROW(CreateKey(*provider, kOwner), DeviceKeyError) << from_the_end;
  }
  const auto provider = Through([](uint32_t code, Bytes& response) {
    if (code == TPM2_CC_Create) response.back() ^= 1;
  });
  ExpectError(
      ErrorCode::kPlatformError, [&] { CreateKey(*provider, kOwner); }, "HMAC");
}

TEST_F(Tpm2SessionTest, ARefusalLeavesNoSessionInTheTpm) {
  MakePersistentSrk(
      "-G ecc -p secret -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|"
      "decrypt'");
  auto provider = NewProvider();

  for (int i = 0; i < 5; ++i) {  // more often than the TPM has sessions
    ExpectError(ErrorCode::kTpmOwnerAuthRequired, [&] { CreateKey(*provider); });
  }

  provider.reset();
  EXPECT_EQ(tpm_.Capability("handles-loaded-session"), "");
}

TEST_F(Tpm2SessionTest, ACommandThatTheTpmWantsAgainIsSentAgain) {
  int refusals = 2;
  const auto provider = Through([&](uint32_t code, Bytes& response) {
    // TPM_RC_RETRY (Part 2, section 6.6.3), after which the TPM has done nothing.
    if (code == TPM2_CC_StartAuthSession && refusals-- > 0) {
      response = {0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x22};
    }
  });

  EXPECT_NO_THROW(CreateKey(*provider, kOwner));
  EXPECT_EQ(Commands(TPM2_CC_StartAuthSession).size(), 3u);
}

TEST_F(Tpm2SessionTest, ATpmThatWantsEverythingAgainIsBusy) {
  const auto provider = Through([](uint32_t code, Bytes& response) {
    if (code == TPM2_CC_Create) response = {0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x22};
  });

  ExpectError(ErrorCode::kDeviceBusy, [&] { CreateKey(*provider, kOwner); });
}

}  // namespace
}  // namespace device_key
