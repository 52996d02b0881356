// The key providers of the operating system that this is built for.
#ifndef DEVICE_KEY_KEYSTORE_PLATFORM_PROVIDERS_H_
#define DEVICE_KEY_KEYSTORE_PLATFORM_PROVIDERS_H_

#include <memory>
#include <vector>

#include "keystore/open_options.h"
#include "providers/key_provider.h"

namespace device_key {

// Hardware first. Touches no hardware. platform_providers_<os>.cc has the list of each system.
std::vector<std::shared_ptr<KeyProvider>> PlatformProviders(const OpenOptions& options);

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_PLATFORM_PROVIDERS_H_
