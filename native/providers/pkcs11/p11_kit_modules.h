// The PKCS#11 modules that are registered with p11-kit, read from its configuration files.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace device_key {

// Where p11-kit keeps its configuration (pkcs11.conf(5), "FILES").
struct P11KitDirectories {
  std::filesystem::path package_modules;      // /usr/share/p11-kit/modules
  std::filesystem::path system;               // /etc/pkcs11: pkcs11.conf and modules/
  std::optional<std::filesystem::path> user;  // ~/.config/pkcs11, as `system`

  // Those of this system and this user. A process with more privileges than its user has no user
  // directory (Environment).
  static P11KitDirectories OfProcess();
};

// A module that p11-kit's proxy loads in this program.
struct RegisteredModule {
  std::string name;     // of its configuration file, without ".module"
  std::string library;  // an absolute path, or one below p11-kit's own directory of modules
  // Only p11-kit itself can start it: it runs in another process (`remote`), or takes a parameter
  // (`x-init-reserved`).
  bool needs_proxy = false;

  // A TPM once more, by way of tpm2-pkcs11. It writes to standard error and makes files as soon as
  // it is started.
  bool IsTpm2Pkcs11() const;
};

// The modules that `program` (the file name of its executable) gets through the proxy, by name.
// Obeys user-config, enable-in and disable-in, and joins the files of one name as p11-kit does: the
// user's settings go before the system's, and those before the packages'. Loads nothing, and takes
// a file that cannot be read for an empty one.
std::vector<RegisteredModule> RegisteredModules(const P11KitDirectories& directories,
                                                std::string_view program);

// The same for this process.
std::vector<RegisteredModule> RegisteredModules();

// Whether `library` is p11-kit's proxy, by its file name.
bool IsP11KitProxy(std::string_view library);

// The path to load `module` from; `in_proxy` is the address of something in p11-kit's library.
std::string PathOf(const RegisteredModule& module, const void* in_proxy);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_
