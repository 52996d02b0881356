// A key's PEM is a standard file: OpenSSL's TPM 2.0 provider (tpm2-openssl) can use it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "crypto/base64.h"
#include "platform/temporary_directory.h"
#include "providers/tpm2_fixture.h"

namespace device_key {
namespace {

class Tpm2OpenSslTest : public Tpm2Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Run("TPM2OPENSSL_TCTI=" + tpm_.tcti() + " openssl list -providers -provider tpm2"))
        << "is tpm2-openssl installed?";
  }

  // Writes the signature of "message" by `key` to the file `signature` in `directory_`. Returns
  // whether OpenSSL succeeded.
  bool SignWithOpenSsl(const TestKey& key, const AccountBinding& binding) {
    const AuthValue auth = AuthValueOf(binding);
    WriteFile(directory_ / "key.pem", key.pem());
    WriteFile(directory_ / "auth", std::string(auth.begin(), auth.end()));
    WriteFile(directory_ / "message", "message");
    return Run("TPM2OPENSSL_TCTI=" + tpm_.tcti() +
               " openssl pkeyutl -provider tpm2 -provider default -propquery '?provider=tpm2' "
               "-sign -rawin -digest sha256 -inkey key.pem -passin file:auth -in message "
               "-out signature");
  }

  bool Run(const std::string& command_line) {
    return system(("cd " + directory_.path().string() + " && " + command_line + " >log 2>&1")
                      .c_str()) == 0;
  }

  std::string Log() const { return ReadFile(directory_ / "log"); }

  bool Verifies(const TestKey& key) {
    const std::string signature = ReadFile(directory_ / "signature");
    return device_key::Verifies(key, "message", AsBytes(signature));
  }

  const TemporaryDirectory directory_;
};

class Tpm2OpenSslParentTest : public Tpm2OpenSslTest,
                              public ::testing::WithParamInterface<const char*> {};

TEST_P(Tpm2OpenSslParentTest, SignsWithOurPem) {
  if (*GetParam() != '\0') MakePersistentSrk(GetParam());
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  provider.reset();

  ASSERT_TRUE(SignWithOpenSsl(key, key.binding)) << Log();

  EXPECT_TRUE(Verifies(key));
}

INSTANTIATE_TEST_SUITE_P(Parents, Tpm2OpenSslParentTest, ::testing::Values("", "-G ecc", "-G rsa"));

TEST_F(Tpm2OpenSslTest, CannotSignForAnotherBinding) {
  auto provider = NewProvider();
  const TestKey key = CreateKey(*provider);
  provider.reset();

  EXPECT_FALSE(SignWithOpenSsl(key, {"account-1", "client-2"}));
}

}  // namespace
}  // namespace device_key
