// Logging in to a token: at most one try with each PIN.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_LOGIN_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_LOGIN_H_

#include <mutex>
#include <optional>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/sha256.h"
#include "platform/error.h"
#include "providers/pkcs11/pin.h"
#include "providers/pkcs11/token_session.h"

namespace device_key {

// Logging in failed. Never answered by trying again: the next try could be the one that locks the
// token.
class LoginError : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
};

// The PINs that tokens have refused, as salted digests. Thread-safe.
class RefusedPins {
 public:
  // Those of this process, whichever module it reached the token through.
  static RefusedPins& OfProcess();

  bool Contains(const TokenIdentity& token, const Pin& pin) const;
  void Add(const TokenIdentity& token, const Pin& pin);

 private:
  Sha256Digest DigestOf(const TokenIdentity& token, const Pin& pin) const;

  mutable std::mutex mutex_;
  Bytes salt_;  // empty until the first
  std::vector<Sha256Digest> refused_;
};

// What keeps a token with these flags from being logged in to, or nullopt. Asks nobody.
std::optional<DeviceKeyError> LoginObstacle(const Token& token, CK_FLAGS flags,
                                            const PinSource& source);

// C_Login as the user, unless the token needs none or has it already. Through the token's own PIN
// pad where it has one and `source` has no PIN by itself: then nobody is asked here. Returns
// whether the token has been logged in to by this call. Throws `pin_required`, `pin_incorrect`,
// `pin_locked`, also for a PIN whose next failure would lock the token, and other LoginErrors.
bool LogIn(TokenSession& session, const PinSource& source, RefusedPins& refused);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_LOGIN_H_
