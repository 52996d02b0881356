// The modules that p11-kit's proxy stands for.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace device_key {

// Whether `library` is p11-kit's proxy, by its file name.
bool IsP11KitProxy(std::string_view library);

// Loads the modules that are registered with p11-kit, as DynamicLibrary does. The proxy loads them
// itself, but plainly: in a Node.js process their calls of OpenSSL would then be bound to Node's
// own copy (see DynamicLibrary). A library that is loaded already keeps its bindings when it is
// loaded again. To be called before the proxy is initialized; `in_proxy` is the address of
// something in it. Modules that cannot be loaded are left to the proxy, which passes over them.
void PreloadP11KitModules(const void* in_proxy);

// The `module` of a configuration file for the proxy (pkcs11.conf(5)); nullopt when there is none,
// or none for the proxy.
std::optional<std::string> ModuleOfP11KitConfig(std::string_view text);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_
