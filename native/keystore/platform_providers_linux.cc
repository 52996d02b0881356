#include "keystore/platform_providers.h"
#include "providers/pkcs11/pkcs11_provider.h"
#include "providers/tpm2/tpm2_provider.h"

namespace device_key {

std::vector<std::shared_ptr<KeyProvider>> PlatformProviders(const OpenOptions& options) {
  return {std::make_shared<Tpm2Provider>(Tpm2Options{.tcti = options.tcti,
                                                     .allow_simulator = options.allow_simulator,
                                                     .environment = options.environment}),
          std::make_shared<Pkcs11Provider>(Pkcs11Options{.module = options.pkcs11_module,
                                                         .token = options.pkcs11_token,
                                                         .pin = options.pkcs11_pin,
                                                         .environment = options.environment})};
}

}  // namespace device_key
