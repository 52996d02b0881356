#include "providers/pkcs11/pkcs11_provider.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "crypto/p256.h"
#include "platform/dynamic_library.h"
#include "platform/expect_error.h"
#include "support/softhsm.h"

namespace device_key {
namespace {

OperationLimits Limits() {
  return {.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20)};
}

class Pkcs11ProviderTest : public ::testing::Test {
 protected:
  static Pkcs11Options Options() {
    Pkcs11Options options;
    options.module = testing::kSoftHsmModule;
    options.pin.value = testing::SoftHsm::kPin;
    return options;
  }

  static const CK_FUNCTION_LIST& Module() {
    const auto get = DynamicLibrary::Open(testing::kSoftHsmModule)
                         .Symbol<C_GetFunctionListFunction>("C_GetFunctionList");
    CK_FUNCTION_LIST* functions = nullptr;
    get(&functions);
    return *functions;
  }

  static bool IsInitialized() {
    CK_INFO info;
    return Module().C_GetInfo(&info) == CKR_OK;
  }

  bool Signs(Pkcs11Provider& provider, const ProviderKey& key) const {
    const Sha256Digest digest = Sha256(AsBytes("text"));
    const Bytes signature = provider.Sign(id_, key.handle, {}, digest, Limits());
    return P256PublicKey::FromSpki(key.spki_der).Verify(digest, signature);
  }

  const testing::SoftHsm hsm_;
  const KeyId id_ = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
};

TEST_F(Pkcs11ProviderTest, ReleasesTheModuleWithTheLastProvider) {
  {
    Pkcs11Provider one(Options());
    Pkcs11Provider another(Options());
    EXPECT_TRUE(Signs(another, one.Create(id_, {}, Limits())));
    EXPECT_TRUE(IsInitialized());
  }
  EXPECT_FALSE(IsInitialized());
}

TEST_F(Pkcs11ProviderTest, SharesAModuleThatOtherCodeInitialized) {
  ASSERT_EQ(Module().C_Initialize(nullptr), CKR_OK);
  {
    Pkcs11Provider provider(Options());
    EXPECT_TRUE(Signs(provider, provider.Create(id_, {}, Limits())));
  }
  EXPECT_TRUE(IsInitialized()) << "it is not ours to finalize";
  Module().C_Finalize(nullptr);
}

TEST_F(Pkcs11ProviderTest, RecoversWhenOtherCodeFinalizesTheModule) {
  Pkcs11Provider provider(Options());
  const ProviderKey key = provider.Create(id_, {}, Limits());
  Module().C_Finalize(nullptr);
  EXPECT_TRUE(Signs(provider, key));
}

TEST_F(Pkcs11ProviderTest, RecoversWhenOtherCodeLogsOutAndClosesItsSessions) {
  Pkcs11Provider provider(Options());
  const ProviderKey key = provider.Create(id_, {}, Limits());
  for (const Token& token : ListTokens(Module())) Module().C_CloseAllSessions(token.slot);
  EXPECT_TRUE(Signs(provider, key));
}

TEST_F(Pkcs11ProviderTest, ProbesWithoutLoggingIn) {
  Pkcs11Options options = Options();
  options.pin.value = "wrong one";
  const Availability availability = Pkcs11Provider(options).Probe(Limits());
  EXPECT_TRUE(availability.available());
  EXPECT_EQ(availability.details["tokens"][0]["lastPinWasWrong"], false);
}

TEST_F(Pkcs11ProviderTest, TriesAWrongPinOnceForAllProviders) {
  Pkcs11Options options = Options();
  options.pin.value = "wrong one";
  Pkcs11Provider first(options);
  ExpectError(
      ErrorCode::kPinIncorrect, [&] { first.Create(id_, {}, Limits()); }, "CKR_PIN_INCORRECT");
  Pkcs11Provider second(options);
  ExpectError(
      ErrorCode::kPinIncorrect, [&] { second.Create(id_, {}, Limits()); },
      "refused this PIN before");
}

TEST_F(Pkcs11ProviderTest, TriesAWrongPinOnceForAllNamesOfTheModule) {
  Pkcs11Options options = Options();
  options.pin.value = "wrong one";
  ExpectError(
      ErrorCode::kPinIncorrect, [&] { Pkcs11Provider(options).Create(id_, {}, Limits()); },
      "CKR_PIN_INCORRECT");
  options.module = "/usr/lib/../lib/softhsm/libsofthsm2.so";
  ExpectError(
      ErrorCode::kPinIncorrect, [&] { Pkcs11Provider(options).Create(id_, {}, Limits()); },
      "refused this PIN before");
}

TEST_F(Pkcs11ProviderTest, FindsAndDeletesAKeyThatWasNeverRecorded) {
  Pkcs11Provider provider(Options());
  const nlohmann::json place = provider.Locate(Limits());
  const ProviderKey key = provider.CreateAt(place, id_, {}, Limits());
  provider.Delete(id_, place, Limits());
  ExpectError(
      ErrorCode::kKeyLost, [&] { Signs(provider, key); }, "does not have the key any more");
}

// So it is while SoftHSM, in another process, writes the token's file at a login.
TEST_F(Pkcs11ProviderTest, FindsATokenThatIsMissingForAMoment) {
  const std::string content = hsm_.ReadTokenFile();
  hsm_.WriteTokenFile("");
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    hsm_.WriteTokenFile(content);
  });
  EXPECT_NO_THROW(Pkcs11Provider(Options()).Create(id_, {}, Limits()));
  writer.join();
}

TEST_F(Pkcs11ProviderTest, RefusesAModuleWithARelativePath) {
  Pkcs11Options options = Options();
  options.module = "lib/module.so";
  ExpectError(
      ErrorCode::kInvalidParams, [&] { Pkcs11Provider provider(options); }, "absolute path");
}

TEST_F(Pkcs11ProviderTest, SaysWhenALibraryIsNoModule) {
  Pkcs11Options options = Options();
  options.module = "libc.so.6";
  ExpectError(
      ErrorCode::kLibraryMissing, [&] { Pkcs11Provider(options).Create(id_, {}, Limits()); },
      "C_GetFunctionList");
}

TEST_F(Pkcs11ProviderTest, SaysWhenAModuleLacksItsConfiguration) {
  setenv("SOFTHSM2_CONF", "/nonexistent/softhsm2.conf", 1);
  ExpectError(
      ErrorCode::kPlatformError, [&] { Pkcs11Provider(Options()).Create(id_, {}, Limits()); },
      "may lack its configuration");
}

// A forked child does not have the module's thread, so the library itself must detect the fork.
TEST_F(Pkcs11ProviderTest, InitializesTheModuleAgainInAForkedProcess) {
  CryptokiLibrary library(testing::kSoftHsmModule);
  library.Functions();
  const pid_t child = fork();
  if (child == 0) {
    const bool forked = library.IsForked();
    CK_INFO info;
    _exit(forked && library.Functions().C_GetInfo(&info) == CKR_OK && !library.IsForked() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  library.Finalize();
}

}  // namespace
}  // namespace device_key
