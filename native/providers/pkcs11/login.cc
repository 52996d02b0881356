#include "providers/pkcs11/login.h"

#include <algorithm>

#include "crypto/random.h"
#include "providers/pkcs11/pkcs11_status.h"

namespace device_key {
namespace {

constexpr size_t kSaltBytes = 32;

std::string NameOf(const Token& token) { return "the token " + token.identity.Uri(); }

LoginError AsLoginError(const DeviceKeyError& error) {
  return LoginError(error.code(), error.what(), error.platform_status());
}

nlohmann::json QuestionFor(const Token& token, CK_FLAGS flags) {
  return {{"uri", token.identity.Uri()},
          {"label", token.identity.label},
          {"serial", token.identity.serial},
          {"manufacturer", token.identity.manufacturer},
          {"model", token.identity.model},
          {"lastPinWasWrong", (flags & CKF_USER_PIN_COUNT_LOW) != 0},
          {"finalTry", (flags & CKF_USER_PIN_FINAL_TRY) != 0}};
}

LoginError PinRequired(const Token& token) {
  return LoginError(ErrorCode::kPinRequired,
                    NameOf(token) +
                        " needs its PIN: give it with pkcs11.pin (a string or a function that "
                        "asks), pkcs11.pinFile or DEVICE_KEY_PKCS11_PIN");
}

}  // namespace

RefusedPins& RefusedPins::OfProcess() {
  static auto& refused = *new RefusedPins;
  return refused;
}

bool RefusedPins::Contains(const TokenIdentity& token, const Pin& pin) const {
  const std::lock_guard lock(mutex_);
  return !refused_.empty() &&
         std::find(refused_.begin(), refused_.end(), DigestOf(token, pin)) != refused_.end();
}

void RefusedPins::Add(const TokenIdentity& token, const Pin& pin) {
  const std::lock_guard lock(mutex_);
  if (salt_.empty()) salt_ = RandomBytes(kSaltBytes);
  refused_.push_back(DigestOf(token, pin));
}

Sha256Digest RefusedPins::DigestOf(const TokenIdentity& token, const Pin& pin) const {
  const Sha256Digest pin_digest = Sha256(AsBytes(pin.text()));
  const std::string uri = token.Uri();
  Bytes input = salt_;
  input.insert(input.end(), pin_digest.begin(), pin_digest.end());
  input.insert(input.end(), uri.begin(), uri.end());
  return Sha256(input);
}

std::optional<DeviceKeyError> LoginObstacle(const Token& token, CK_FLAGS flags,
                                            const PinSource& source) {
  if ((flags & CKF_LOGIN_REQUIRED) == 0) return std::nullopt;
  if ((flags & CKF_USER_PIN_LOCKED) != 0) {
    return LoginError(ErrorCode::kPinLocked,
                      "the PIN of " + NameOf(token) +
                          " is locked after too many wrong ones. Unblock it with the token's own "
                          "tools and its PUK or SO PIN");
  }
  if ((flags & CKF_USER_PIN_FINAL_TRY) != 0 && !source.allow_final_try) {
    return LoginError(ErrorCode::kPinLocked,
                      "one more wrong PIN would lock " + NameOf(token) +
                          ", so none is tried. Log in once with the token's own tools, which "
                          "resets its counter, or set pkcs11.allowFinalTry");
  }
  if (source.kind() == "none" && (flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0) {
    return PinRequired(token);
  }
  return std::nullopt;
}

bool LogIn(TokenSession& session, const PinSource& source, RefusedPins& refused) {
  const Token& token = session.token();
  if (!token.has(CKF_LOGIN_REQUIRED) || session.IsLoggedIn()) return false;
  const CK_FLAGS flags = ReadTokenFlags(session.module(), token.slot);
  if (const auto obstacle = LoginObstacle(token, flags, source)) throw AsLoginError(*obstacle);
  const std::optional<Pin> pin = source.Take(token.identity.Uri());
  const bool has_pin_pad = (flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
  if (!pin && source.prompt != nullptr && (!has_pin_pad || source.prompt_has_value)) {
    source.prompt->Ask(QuestionFor(token, flags));
    throw PinRequired(token);
  }
  if (pin && refused.Contains(token.identity, *pin)) {
    throw LoginError(ErrorCode::kPinIncorrect,
                     NameOf(token) +
                         " has refused this PIN before, so it is not tried again: further wrong "
                         "ones would lock the token. Give another PIN, or, if the token's PIN "
                         "has been changed to this one since, restart the program");
  }
  // A null PIN asks for the PIN pad (base specification, section 5.6, C_Login).
  const CK_RV rv = pin ? session.module().C_Login(
                             session.handle(), CKU_USER,
                             reinterpret_cast<CK_UTF8CHAR*>(const_cast<char*>(pin->text().data())),
                             pin->text().size())
                       : session.module().C_Login(session.handle(), CKU_USER, nullptr, 0);
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return true;
  if (IsWrongPin(rv) && pin) refused.Add(token.identity, *pin);
  const DeviceKeyError error = Pkcs11Error("log in to " + NameOf(token), rv);
  // The token had a PIN a moment ago: SoftHSM has read the token's file while another process wrote
  // it, and has to be initialized again. The PIN has not been compared.
  if (rv == CKR_USER_PIN_NOT_INITIALIZED && token.has(CKF_USER_PIN_INITIALIZED)) throw error;
  throw AsLoginError(error);
}

}  // namespace device_key
