#include "keystore/platform_providers.h"
#include "providers/apple/keychain_provider.h"
#include "providers/apple/secure_enclave_provider.h"
#include "providers/pkcs11/pkcs11_provider.h"

namespace device_key {

std::vector<std::shared_ptr<KeyProvider>> PlatformProviders(const OpenOptions& options) {
  const UserPresence user_presence{.required = options.user_presence,
                                   .reuse = options.user_presence_reuse};
  return {std::make_shared<SecureEnclaveProvider>(user_presence),
          std::make_shared<KeychainProvider>(user_presence),
          std::make_shared<Pkcs11Provider>(Pkcs11Options{.module = options.pkcs11_module,
                                                         .token = options.pkcs11_token,
                                                         .pin = options.pkcs11_pin,
                                                         .environment = options.environment})};
}

}  // namespace device_key
