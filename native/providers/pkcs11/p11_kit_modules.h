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

  // The paths for this system and this user. A process with more privileges than its user has no
  // user directory (Environment).
  static P11KitDirectories OfProcess();
};

// A module that p11-kit's proxy loads in this program.
struct RegisteredModule {
  std::string name;     // of its configuration file, without ".module"
  std::string library;  // an absolute path, or one below p11-kit's own directory of modules
  // Only p11-kit itself can start it: it runs in another process (`remote`), or takes a parameter
  // (`x-init-reserved`).
  bool needs_proxy = false;

  // tpm2-pkcs11, which offers the TPM a second time. It writes to standard error and makes files
  // when it is initialized.
  bool IsTpm2Pkcs11() const;
};

// The modules that the proxy loads in `program` (the file name of its executable), by name. Obeys
// user-config, enable-in and disable-in, and merges the files of one name as p11-kit does: the
// user's settings take precedence over the system's, and those over the packages'. Loads no module,
// and treats an unreadable file as empty.
std::vector<RegisteredModule> RegisteredModules(const P11KitDirectories& directories,
                                                std::string_view program);

// The same for this process.
std::vector<RegisteredModule> RegisteredModules();

// Whether `library` is p11-kit's proxy, by its file name.
bool IsP11KitProxy(std::string_view library);

// The path to load `module` from; `in_proxy` is an address inside p11-kit's library.
std::string PathOf(const RegisteredModule& module, const void* in_proxy);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_P11_KIT_MODULES_H_
