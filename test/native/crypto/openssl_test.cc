#include "crypto/openssl.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include <cstdlib>
#include <fstream>

#include "crypto/sha256.h"

namespace device_key {
namespace {

// The configuration adds an object identifier, which shows whether it was read.
TEST(OpenSsl, NeverReadsAConfigurationFile) {
  const std::string path = testing::TempDir() + "device_key_openssl.cnf";
  std::ofstream(path) << "openssl_conf = main\n[main]\noid_section = names\n"
                         "[names]\ndeviceKeyConfigWasRead = 1.2.3.4.5.6.7\n";
  setenv("OPENSSL_CONF", path.c_str(), 1);

  Sha256(AsBytes("the first use of OpenSSL in this process"));
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);  // as OpenSSL's own functions do

  EXPECT_EQ(OBJ_txt2nid("deviceKeyConfigWasRead"), NID_undef);
  unsetenv("OPENSSL_CONF");
}

TEST(OpenSsl, LeavesTheErrorQueueEmpty) {
  InitOpenSsl();
  ERR_raise(ERR_LIB_EC, EC_R_INVALID_FIELD);
  const DeviceKeyError error = CryptoError("the message");
  EXPECT_EQ(error.code(), ErrorCode::kCryptoError);
  EXPECT_STREQ(error.what(), "the message");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace device_key
