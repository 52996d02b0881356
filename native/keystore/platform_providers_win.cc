#include "keystore/platform_providers.h"
#include "providers/cng/cng_provider.h"

namespace device_key {

std::vector<std::shared_ptr<KeyProvider>> PlatformProviders(const OpenOptions&) {
  return {std::make_shared<CngProvider>(CngKeyStore::kPlatform),
          std::make_shared<CngProvider>(CngKeyStore::kSoftware)};
}

}  // namespace device_key
