// Key ids and the protection classes that they name.
//
// The only header of protocol/ that providers/ may include; both directories use these names.
#ifndef DEVICE_KEY_PROTOCOL_KEY_ID_H_
#define DEVICE_KEY_PROTOCOL_KEY_ID_H_

#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace device_key {

// What protects a private key from being copied (wire type DeviceKeyProtectionClass).
enum class ProtectionClass {
  kHardwareSecureEnclave,
  kHardwareTpm,
  kOsProtectedNonextractable,
};

// "hardware_secure_enclave", "hardware_tpm", "os_protected_nonextractable".
std::string_view ProtectionClassName(ProtectionClass protection_class);
std::optional<ProtectionClass> ProtectionClassFromName(std::string_view name);

// `dk_hse_`, `dk_tpm_` or `dk_osn_`, then 32 random bytes as 43 characters of canonical unpadded
// base64url. Always safe as a file name and as a label in a key store.
class KeyId {
 public:
  static constexpr size_t kRandomBytes = 32;

  // A new, random id. Throws `crypto_error` when the random generator fails.
  static KeyId Generate(ProtectionClass protection_class);

  // nullopt for anything that `Generate` could not have returned.
  static std::optional<KeyId> Parse(std::string_view text);

  const std::string& str() const { return text_; }
  ProtectionClass protection_class() const { return protection_class_; }
  bool operator==(const KeyId&) const = default;

 private:
  KeyId(std::string text, ProtectionClass protection_class)
      : text_(std::move(text)), protection_class_(protection_class) {}
  std::string text_;
  ProtectionClass protection_class_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_KEY_ID_H_
