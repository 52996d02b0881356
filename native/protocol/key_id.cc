#include "protocol/key_id.h"

#include <array>

#include "crypto/base64.h"
#include "crypto/random.h"

namespace device_key {

namespace {

struct ClassNames {
  ProtectionClass protection_class;
  std::string_view wire_name;
  std::string_view key_id_prefix;
};

constexpr std::array<ClassNames, 3> kClasses = {{
    {ProtectionClass::kHardwareSecureEnclave, "hardware_secure_enclave", "dk_hse_"},
    {ProtectionClass::kHardwareTpm, "hardware_tpm", "dk_tpm_"},
    {ProtectionClass::kOsProtectedNonextractable, "os_protected_nonextractable", "dk_osn_"},
}};

const ClassNames& NamesOf(ProtectionClass protection_class) {
  for (const ClassNames& names : kClasses) {
    if (names.protection_class == protection_class) return names;
  }
  return kClasses.back();  // the weakest class; unreachable
}

}  // namespace

std::string_view ProtectionClassName(ProtectionClass protection_class) {
  return NamesOf(protection_class).wire_name;
}

std::optional<ProtectionClass> ProtectionClassFromName(std::string_view name) {
  for (const ClassNames& names : kClasses) {
    if (names.wire_name == name) return names.protection_class;
  }
  return std::nullopt;
}

KeyId KeyId::Generate(ProtectionClass protection_class) {
  std::string text(NamesOf(protection_class).key_id_prefix);
  text += Base64UrlEncode(RandomBytes(kRandomBytes));
  return KeyId(std::move(text), protection_class);
}

std::optional<KeyId> KeyId::Parse(std::string_view text) {
  for (const ClassNames& names : kClasses) {
    if (!text.starts_with(names.key_id_prefix)) continue;
    const std::optional<Bytes> random = Base64UrlDecode(text.substr(names.key_id_prefix.size()));
    if (!random || random->size() != kRandomBytes) return std::nullopt;
    return KeyId(std::string(text), names.protection_class);
  }
  return std::nullopt;
}

}  // namespace device_key
