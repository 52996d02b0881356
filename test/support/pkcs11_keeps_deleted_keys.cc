// A PKCS#11 module that keeps deleted objects. It forwards to the module MODULE (a path), but
// C_DestroyObject does nothing and reports success.
#include <dlfcn.h>

#include "providers/pkcs11/cryptoki.h"

extern "C" device_key::CK_RV C_GetFunctionList(device_key::CK_FUNCTION_LIST** list) {
  static device_key::CK_FUNCTION_LIST ours;
  void* const library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return 5;  // CKR_GENERAL_ERROR
  const auto get =
      reinterpret_cast<decltype(&C_GetFunctionList)>(dlsym(library, "C_GetFunctionList"));
  device_key::CK_FUNCTION_LIST* theirs = nullptr;
  const device_key::CK_RV rv = get(&theirs);
  if (rv != 0) return rv;
  ours = *theirs;
  ours.C_DestroyObject = [](device_key::CK_SESSION_HANDLE,
                            device_key::CK_OBJECT_HANDLE) -> device_key::CK_RV { return 0; };
  *list = &ours;
  return 0;
}
