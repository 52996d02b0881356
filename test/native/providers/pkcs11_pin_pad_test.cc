// A token with a PIN pad. No software token has one, so this is a SoftHSM whose functions report a
// PIN pad, and use its PIN when they are asked to log in without a PIN.
#include <gtest/gtest.h>

#include "crypto/p256.h"
#include "platform/dynamic_library.h"
#include "platform/expect_error.h"
#include "providers/pkcs11/key_objects.h"
#include "providers/pkcs11/login.h"
#include "support/softhsm.h"

namespace device_key {
namespace {

const CK_FUNCTION_LIST& SoftHsmFunctions() {
  const auto get = DynamicLibrary::Open(testing::kSoftHsmModule)
                       .Symbol<C_GetFunctionListFunction>("C_GetFunctionList");
  CK_FUNCTION_LIST* functions = nullptr;
  get(&functions);
  return *functions;
}

CK_RV TokenInfoWithPinPad(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  const CK_RV rv = SoftHsmFunctions().C_GetTokenInfo(slot, info);
  info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
  return rv;
}

CK_RV LoginAtThePad(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size) {
  if (pin != nullptr || size != 0) return CKR_GENERAL_ERROR;
  std::string typed = testing::SoftHsm::kPin;
  return SoftHsmFunctions().C_Login(session, user, reinterpret_cast<CK_UTF8CHAR*>(typed.data()),
                                    typed.size());
}

CK_RV DismissThePad(CK_SESSION_HANDLE, CK_USER_TYPE, CK_UTF8CHAR*, CK_ULONG) {
  return CKR_FUNCTION_CANCELED;
}

class PinPadTest : public ::testing::Test {
 protected:
  PinPadTest() {
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    SoftHsmFunctions().C_Initialize(&arguments);
    functions_ = SoftHsmFunctions();
    functions_.C_GetTokenInfo = TokenInfoWithPinPad;
    functions_.C_Login = LoginAtThePad;
  }
  ~PinPadTest() override { SoftHsmFunctions().C_Finalize(nullptr); }

  // The initialized token; SoftHSM also shows one that is not initialized.
  Token InitializedToken() const {
    for (const Token& token : ListTokens(functions_)) {
      if (token.obstacle.empty()) return token;
    }
    throw std::runtime_error("there is no token");
  }

  const testing::SoftHsm hsm_;
  CK_FUNCTION_LIST functions_;
  RefusedPins refused_;
};

TEST_F(PinPadTest, IsUsedWithoutAPin) {
  TokenSession session(functions_, InitializedToken());
  LogIn(session, {}, refused_);
  const KeyId id = KeyId::Generate(ProtectionClass::kOsProtectedNonextractable);
  const Bytes spki = GenerateKey(session, id);
  const Sha256Digest digest = Sha256(AsBytes("text"));
  EXPECT_TRUE(P256PublicKey::FromSpki(spki).Verify(digest, SignDigest(session, id, digest)));
}

TEST_F(PinPadTest, IsUsedInsteadOfThePrompt) {
  PinSource source;
  source.prompt = std::make_shared<PinPrompt>();
  TokenSession session(functions_, InitializedToken());
  LogIn(session, source, refused_);
  EXPECT_TRUE(session.IsLoggedIn());
  EXPECT_TRUE(source.prompt->TakeQuestion().is_null());
}

TEST_F(PinPadTest, ReportsACancellationWhenItIsDismissed) {
  functions_.C_Login = DismissThePad;
  TokenSession session(functions_, InitializedToken());
  ExpectError(
      ErrorCode::kUserCanceled, [&] { LogIn(session, {}, refused_); }, "CKR_FUNCTION_CANCELED");
}

}  // namespace
}  // namespace device_key
