// A PKCS#11 module that is loaded into this process, and initialized while it is needed.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_CRYPTOKI_LIBRARY_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_CRYPTOKI_LIBRARY_H_

#include <sys/types.h>

#include <string>

#include "providers/pkcs11/cryptoki.h"

namespace device_key {

// Used by one thread. The library stays loaded until the process ends (see DynamicLibrary).
class CryptokiLibrary {
 public:
  // `name` as for DynamicLibrary. Loads nothing yet.
  explicit CryptokiLibrary(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // Loads and initializes the module if necessary, and returns its functions. Throws
  // `library_missing` for a file that does not exist or is no PKCS#11 module, and Pkcs11Error.
  const CK_FUNCTION_LIST& Functions();

  // Whether this process was forked from one that had initialized the module: then all handles are
  // invalid, and the module must be initialized again (base specification, section 5.4).
  bool IsForked() const;

  // C_Finalize, unless other code of this process initialized the module and still uses it. The
  // next Functions() initializes it again.
  void Finalize();

 private:
  enum class Initialized { kNo, kByUs, kByOthers };

  void Load();
  void Initialize();

  const std::string name_;
  const CK_FUNCTION_LIST* functions_ = nullptr;
  Initialized initialized_ = Initialized::kNo;
  pid_t process_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_CRYPTOKI_LIBRARY_H_
