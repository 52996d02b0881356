#include "keystore/key_binding.h"

#include <algorithm>
#include <string_view>

#include "crypto/base64.h"
#include "crypto/sha256.h"

namespace device_key {
namespace {

// The hashed text. The labels separate the two kinds of bindings.
std::string BindingText(const AccountBinding& binding) {
  std::string text = "device-key-binding/v1";
  text.append(1, '\0').append(binding.account_user_id);
  text.append(1, '\0').append(binding.client_id);
  return text;
}

std::string BindingText(const DpopBinding& binding) {
  std::string text = "device-key-dpop/v1";
  text.append(1, '\0').append(binding.client_id);
  for (const std::string& origin : binding.origins) text.append(1, '\0').append(origin);
  return text;
}

}  // namespace

AuthValue AuthValueOf(const KeyBinding& binding) {
  const std::string text =
      std::visit([](const auto& members) { return BindingText(members); }, binding);
  const std::string hash = Base64UrlEncode(Sha256(AsBytes(text)));
  AuthValue auth{};
  std::copy_n(hash.begin(), auth.size(), auth.begin());
  return auth;
}

}  // namespace device_key
