// The functions of ncrypt.dll, which is loaded from System32 only, at the first use.
#ifndef DEVICE_KEY_PROVIDERS_CNG_NCRYPT_LIBRARY_H_
#define DEVICE_KEY_PROVIDERS_CNG_NCRYPT_LIBRARY_H_

#include "platform/windows_api.h"
// After <windows.h>.
#include <bcrypt.h>
#include <ncrypt.h>

#include <string_view>
#include <utility>

namespace device_key {

struct NCryptLibrary {
  decltype(&::NCryptOpenStorageProvider) OpenStorageProvider;
  decltype(&::NCryptCreatePersistedKey) CreatePersistedKey;
  decltype(&::NCryptOpenKey) OpenKey;
  decltype(&::NCryptFinalizeKey) FinalizeKey;
  decltype(&::NCryptGetProperty) GetProperty;
  decltype(&::NCryptSetProperty) SetProperty;
  decltype(&::NCryptExportKey) ExportKey;
  decltype(&::NCryptSignHash) SignHash;
  decltype(&::NCryptDeleteKey) DeleteKey;
  decltype(&::NCryptFreeObject) FreeObject;

  // Throws `library_missing`.
  static const NCryptLibrary& Get();
};

// Owns a provider or key handle.
class NCryptHandle {
 public:
  NCryptHandle() = default;
  explicit NCryptHandle(ULONG_PTR handle) : handle_(handle) {}
  NCryptHandle(NCryptHandle&& other) noexcept : handle_(other.Release()) {}
  NCryptHandle& operator=(NCryptHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~NCryptHandle() {
    if (handle_ != 0) NCryptLibrary::Get().FreeObject(handle_);
  }

  ULONG_PTR get() const { return handle_; }
  ULONG_PTR Release() { return std::exchange(handle_, 0); }

 private:
  ULONG_PTR handle_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_NCRYPT_LIBRARY_H_
