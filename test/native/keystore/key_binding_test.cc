#include "keystore/key_binding.h"

#include <gtest/gtest.h>

#include <string>

namespace device_key {
namespace {

std::string AuthTextOf(const KeyBinding& binding) {
  const AuthValue auth = AuthValueOf(binding);
  return {auth.begin(), auth.end()};
}

TEST(AuthValueTest, OfAnAccountIsTheHashOfBothIds) {
  // printf 'device-key-binding/v1\0user-7f3a\0cli_42' | openssl sha256 -binary | base64 | tr '+/'
  // '-_' | cut -c1-32
  EXPECT_EQ(AuthTextOf(AccountBinding{"user-7f3a", "cli_42"}), "dTWvWL2kLSJ0ITdlQB1QBHw6m1ooEV5h");
}

TEST(AuthValueTest, OfDpopIsTheHashOfTheClientAndItsOrigins) {
  // printf 'device-key-dpop/v1\0cli_42\0https://a.example\0https://b.example' | openssl sha256
  // -binary | base64 | tr '+/' '-_' | cut -c1-32
  EXPECT_EQ(AuthTextOf(DpopBinding{"cli_42", {"https://a.example", "https://b.example"}}),
            "6LUqxy1dshED0uJeQ5vrdeTsyLrFudtn");
}

TEST(AuthValueTest, DiffersForEveryPairOfIds) {
  const std::string auth = AuthTextOf(AccountBinding{"ab", "c"});

  EXPECT_NE(auth, AuthTextOf(AccountBinding{"a", "bc"}));
  EXPECT_NE(auth, AuthTextOf(AccountBinding{"c", "ab"}));
  EXPECT_NE(auth, AuthTextOf(AccountBinding{"abc", ""}));
}

TEST(AuthValueTest, DiffersForTheTwoUses) {
  EXPECT_NE(AuthTextOf(AccountBinding{"a", "https://b.example"}),
            AuthTextOf(DpopBinding{"a", {"https://b.example"}}));
}

}  // namespace
}  // namespace device_key
