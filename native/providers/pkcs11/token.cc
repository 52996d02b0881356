#include "providers/pkcs11/token.h"

#include <algorithm>
#include <optional>

#include "providers/pkcs11/pkcs11_status.h"

namespace device_key {
namespace {

// Texts in CK_TOKEN_INFO are padded with blanks, and in some modules with NULs.
template <size_t kSize>
std::string Unpadded(const CK_UTF8CHAR (&field)[kSize]) {
  std::string text(reinterpret_cast<const char*>(field), kSize);
  text.resize(std::min(text.find('\0'), text.size()));
  text.resize(text.find_last_not_of(' ') + 1);
  return text;
}

bool HasP256(const CK_FUNCTION_LIST& module, CK_SLOT_ID slot, CK_MECHANISM_TYPE mechanism) {
  CK_MECHANISM_INFO info{};
  if (module.C_GetMechanismInfo(slot, mechanism, &info) != CKR_OK) return false;
  // The sizes are in bits; some modules leave them at 0.
  return info.ulMaxKeySize == 0 || (info.ulMinKeySize <= 256 && info.ulMaxKeySize >= 256);
}

std::string ObstacleOf(const CK_FUNCTION_LIST& module, const Token& token) {
  if (!token.has(CKF_TOKEN_INITIALIZED)) return "it has not been initialized";
  if (token.has(CKF_LOGIN_REQUIRED) && !token.has(CKF_USER_PIN_INITIALIZED)) {
    return "it has no user PIN yet";
  }
  if (token.has(CKF_WRITE_PROTECTED)) return "it is read-only";
  if (!HasP256(module, token.slot, CKM_EC_KEY_PAIR_GEN)) {
    return "it cannot generate EC P-256 keys (CKM_EC_KEY_PAIR_GEN)";
  }
  if (!HasP256(module, token.slot, CKM_ECDSA)) return "it cannot sign with ECDSA (CKM_ECDSA)";
  return "";
}

std::optional<CK_TOKEN_INFO> ReadTokenInfo(const CK_FUNCTION_LIST& module, CK_SLOT_ID slot) {
  CK_TOKEN_INFO info{};
  if (module.C_GetTokenInfo(slot, &info) != CKR_OK) return std::nullopt;
  return info;
}

}  // namespace

std::vector<Token> ListTokens(const CK_FUNCTION_LIST& module) {
  std::vector<CK_SLOT_ID> slots;
  CK_ULONG count = 0;
  // A token may be inserted between the two calls.
  CK_RV rv = CKR_BUFFER_TOO_SMALL;
  for (int i = 0; i < 4 && rv == CKR_BUFFER_TOO_SMALL; ++i) {
    CheckPkcs11("list the tokens", module.C_GetSlotList(CK_TRUE, nullptr, &count));
    slots.resize(count);
    rv = module.C_GetSlotList(CK_TRUE, slots.data(), &count);
  }
  CheckPkcs11("list the tokens", rv);
  slots.resize(count);

  std::vector<Token> tokens;
  for (const CK_SLOT_ID slot : slots) {
    const std::optional<CK_TOKEN_INFO> info = ReadTokenInfo(module, slot);
    if (!info) continue;
    Token token{.module = &module,
                .slot = slot,
                .identity = {.label = Unpadded(info->label),
                             .manufacturer = Unpadded(info->manufacturerID),
                             .model = Unpadded(info->model),
                             .serial = Unpadded(info->serialNumber)},
                .flags = info->flags,
                .obstacle = {}};
    token.obstacle = ObstacleOf(module, token);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

CK_FLAGS ReadTokenFlags(const CK_FUNCTION_LIST& module, CK_SLOT_ID slot) {
  const std::optional<CK_TOKEN_INFO> info = ReadTokenInfo(module, slot);
  if (!info) throw Pkcs11Error("read the token's state", CKR_TOKEN_NOT_PRESENT);
  return info->flags;
}

std::string Enumerate(const std::vector<Token>& tokens) {
  std::string list;
  for (const Token& token : tokens) {
    if (!list.empty()) list += ", ";
    list += token.identity.Uri();
    if (!token.obstacle.empty()) list += " (" + token.obstacle + ")";
  }
  return list;
}

}  // namespace device_key
