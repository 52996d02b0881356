// An open session with a token, and the data that is cached with it.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_SESSION_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_SESSION_H_

#include <map>
#include <string>

#include "providers/pkcs11/token.h"

namespace device_key {

// Used by one thread. Its destructor closes the session. A token's login ends with its last
// session.
class TokenSession {
 public:
  // C_OpenSession: read-only where the token is.
  TokenSession(const CK_FUNCTION_LIST& module, Token token);
  ~TokenSession();
  TokenSession(const TokenSession&) = delete;
  TokenSession& operator=(const TokenSession&) = delete;

  const CK_FUNCTION_LIST& module() const { return module_; }
  const Token& token() const { return token_; }
  CK_SESSION_HANDLE handle() const { return handle_; }

  // Throws when the session no longer exists.
  bool IsLoggedIn() const;

  // The process was forked, or the module finalized: the handle is no longer valid.
  void Abandon() { handle_ = 0; }

  // Private keys found in this session, by the key id.
  std::map<std::string, CK_OBJECT_HANDLE> keys;

 private:
  const CK_FUNCTION_LIST& module_;
  const Token token_;
  CK_SESSION_HANDLE handle_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_TOKEN_SESSION_H_
