#include "providers/pkcs11/cryptoki_library.h"

#include <unistd.h>

#include "platform/dynamic_library.h"
#include "platform/error.h"
#include "providers/pkcs11/p11_kit_modules.h"
#include "providers/pkcs11/pkcs11_status.h"

namespace device_key {
namespace {

// Loads the modules of p11-kit's proxy before the proxy does, which does not use RTLD_DEEPBIND: in
// a Node.js process their OpenSSL calls would be bound to Node's own OpenSSL (DynamicLibrary). A
// library that is already loaded keeps its bindings. The proxy ignores modules that cannot be
// loaded.
void PreloadModules(const void* in_proxy) {
  for (const RegisteredModule& module : RegisteredModules()) {
    try {
      if (!module.library.empty()) DynamicLibrary::Open(PathOf(module, in_proxy).c_str());
    } catch (const DeviceKeyError&) {
      // Not installed, or for another architecture.
    }
  }
}

}  // namespace

const CK_FUNCTION_LIST& CryptokiLibrary::Functions() {
  if (functions_ == nullptr) Load();
  if (IsForked()) initialized_ = Initialized::kNo;
  if (initialized_ == Initialized::kNo) Initialize();
  return *functions_;
}

bool CryptokiLibrary::IsForked() const {
  return initialized_ != Initialized::kNo && process_ != getpid();
}

void CryptokiLibrary::Finalize() {
  if (initialized_ == Initialized::kByUs && !IsForked()) functions_->C_Finalize(nullptr);
  initialized_ = Initialized::kNo;
}

void CryptokiLibrary::Load() {
  const DynamicLibrary library = DynamicLibrary::Open(name_.c_str());
  const auto get_function_list = library.Symbol<C_GetFunctionListFunction>("C_GetFunctionList");
  if (IsP11KitProxy(name_)) PreloadModules(reinterpret_cast<void*>(get_function_list));
  CK_FUNCTION_LIST* functions = nullptr;
  CheckPkcs11("get the functions of " + name_, get_function_list(&functions));
  // Version 3 only appends functions to the list (PKCS #11 Specification 3.1, section 3.6).
  if (functions == nullptr || functions->version.major < 2 || functions->version.major > 3) {
    throw DeviceKeyError(ErrorCode::kLibraryMissing, name_ + " is not a PKCS#11 2 or 3 module");
  }
  functions_ = functions;
}

void CryptokiLibrary::Initialize() {
  // We call the module from one thread, but other code of this process may use it too.
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  CK_RV rv = functions_->C_Initialize(&arguments);
  if (rv == CKR_CANT_LOCK) rv = functions_->C_Initialize(nullptr);
  if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
    // SoftHSM returns CKR_GENERAL_ERROR for both.
    CheckPkcs11("start " + name_ + ", which may lack its configuration or the right to read it",
                rv);
  }
  initialized_ = rv == CKR_OK ? Initialized::kByUs : Initialized::kByOthers;
  process_ = getpid();
}

}  // namespace device_key
