#include "platform/thread_name.h"
#include "platform/windows_api.h"

namespace device_key {

void SetThisThreadName(const std::string& name) {
  // Looked up at run time, because it exists only since Windows 10 1607.
  using SetThreadDescriptionFunction = HRESULT(WINAPI*)(HANDLE, PCWSTR);
  const FARPROC found = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "SetThreadDescription");
  if (found == nullptr) return;
  const auto set = reinterpret_cast<SetThreadDescriptionFunction>(reinterpret_cast<void*>(found));
  set(GetCurrentThread(), WideFromUtf8(name).c_str());
}

}  // namespace device_key
