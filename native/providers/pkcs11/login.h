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

// Logging in failed. Callers never try again, because the next failure could lock the token.
class LoginError : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
};

// The PINs that tokens have refused, as salted digests. Thread-safe.
class RefusedPins {
 public:
  // The one of this process, for tokens of all modules.
  static RefusedPins& OfProcess();

  bool Contains(const TokenIdentity& token, const Pin& pin) const;
  void Add(const TokenIdentity& token, const Pin& pin);

 private:
  Sha256Digest DigestOf(const TokenIdentity& token, const Pin& pin) const;

  mutable std::mutex mutex_;
  Bytes salt_;  // empty before the first PIN
  std::vector<Sha256Digest> refused_;
};

// Why a token with these flags cannot be logged in to, or nullopt. Asks for no PIN.
std::optional<DeviceKeyError> LoginObstacle(const Token& token, CK_FLAGS flags,
                                            const PinSource& source);

// C_Login as the user, unless the token needs no login or is logged in. Uses the token's PIN pad
// when it has one and `source` has no PIN. Returns whether this call has logged in. Throws
// `pin_required`, `pin_incorrect`, `pin_locked`, also when a wrong PIN would lock the token, and
// other LoginErrors; or Pkcs11Error when the module's state of the token is stale.
bool LogIn(TokenSession& session, const PinSource& source, RefusedPins& refused);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_LOGIN_H_
