// The tokens of a module, and whether they can hold device keys.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_H_

#include <string>
#include <vector>

#include "providers/pkcs11/cryptoki.h"
#include "providers/pkcs11/token_uri.h"

namespace device_key {

struct Token {
  const CK_FUNCTION_LIST* module = nullptr;  // that has the token
  CK_SLOT_ID slot = 0;
  TokenIdentity identity;
  CK_FLAGS flags = 0;
  // Why no key can be made in it ("it is read-only"); empty when one can.
  std::string obstacle;

  bool has(CK_FLAGS flag) const { return (flags & flag) != 0; }
};

// The tokens that are present now, without those that fail (because they were just removed).
std::vector<Token> ListTokens(const CK_FUNCTION_LIST& module);

// CK_TOKEN_INFO's flags as of now: a wrong PIN changes them.
CK_FLAGS ReadTokenFlags(const CK_FUNCTION_LIST& module, CK_SLOT_ID slot);

// The URIs of `tokens`, for a message.
std::string Enumerate(const std::vector<Token>& tokens);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_H_
