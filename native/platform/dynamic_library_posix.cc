#include <dlfcn.h>

#include "platform/dynamic_library.h"
#include "platform/error.h"

namespace device_key {
namespace {

// A Node.js executable exports some 890 EVP_* symbols of its own OpenSSL. Without RTLD_DEEPBIND, a
// library that was linked to the system's libcrypto binds to those. Their structures are of another
// version, so the library crashes or returns wrong results. macOS binds symbols by library and has
// no such flag; musl has none either. AddressSanitizer does not support the flag, so its build
// defines DEVICE_KEY_NO_DEEPBIND.
#if defined(RTLD_DEEPBIND) && !defined(DEVICE_KEY_NO_DEEPBIND)
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#else
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL;
#endif

std::string LoaderError() {
  const char* text = dlerror();  // NOLINT(concurrency-mt-unsafe): each thread has its own text
  return text != nullptr ? text : "the loader gave no reason";
}

}  // namespace

DynamicLibrary DynamicLibrary::Open(const char* name) {
  void* handle = dlopen(name, kOpenFlags);
  if (handle == nullptr) {
    throw DeviceKeyError(ErrorCode::kLibraryMissing,
                         "could not load " + std::string(name) + ": " + LoaderError());
  }
  return DynamicLibrary(name, handle);
}

void* DynamicLibrary::Find(const char* name) const {
  void* address = dlsym(handle_, name);
  if (address == nullptr) {
    throw DeviceKeyError(ErrorCode::kLibraryMissing,
                         name_ + " has no function " + name +
                             ": this version of the library is not supported (" + LoaderError() +
                             ")");
  }
  return address;
}

void KeepThisLibraryLoaded() {
#if defined(__APPLE__)
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&KeepThisLibraryLoaded), &info) != 0) {
    dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
#endif
}

}  // namespace device_key
