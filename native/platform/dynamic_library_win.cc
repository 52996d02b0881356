#include <string_view>

#include "platform/dynamic_library.h"
#include "platform/error.h"
#include "platform/windows_api.h"

namespace device_key {
namespace {

// "C:\..." or "\\server\...".
bool IsAbsolute(std::string_view name) {
  return name.starts_with("\\\\") || (name.size() > 2 && name[1] == ':' && name[2] == '\\');
}

}  // namespace

DynamicLibrary DynamicLibrary::Open(const char* name) {
  // Node.js loads addons with a search order in which libraries beside the addon come first. With a
  // bare name, a user with write access there could replace the system's library. Never unloaded:
  // see the header.
  const DWORD where = IsAbsolute(name)
                          ? LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32
                          : LOAD_LIBRARY_SEARCH_SYSTEM32;
  HMODULE module = LoadLibraryExW(WideFromUtf8(name).c_str(), nullptr, where);
  if (module == nullptr) {
    const DWORD error = GetLastError();
    throw DeviceKeyError(ErrorCode::kLibraryMissing,
                         "Could not load " + std::string(name) + ": " + WindowsMessage(error),
                         error);
  }
  return DynamicLibrary(name, module);
}

void* DynamicLibrary::Find(const char* name) const {
  const FARPROC address = GetProcAddress(static_cast<HMODULE>(handle_), name);
  if (address == nullptr) {
    throw DeviceKeyError(
        ErrorCode::kLibraryMissing,
        name_ + " has no function " + name + ": this version of the library is not supported");
  }
  return reinterpret_cast<void*>(address);
}

void KeepThisLibraryLoaded() {
  HMODULE self = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCWSTR>(&KeepThisLibraryLoaded), &self);
}

}  // namespace device_key
