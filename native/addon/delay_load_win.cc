// Decides where the libraries are found that the addon for Windows loads on first use.
//
// The addon imports Node-API from "node.exe", but an application's executable may have any name
// (Electron's has the application's): the host is whatever this process was started from. And
// Node.js loads addons so that libraries beside them come first; the system's own are to come from
// System32 alone. For mingw-w64: node-gyp brings a hook of its own for MSVC.
#include <cstring>

#include "platform/windows_api.h"
// After <windows.h>.
#include <delayimp.h>

namespace {

FARPROC WINAPI FindDelayed(unsigned notification, PDelayLoadInfo info) {
  if (notification != dliNotePreLoadLibrary) return nullptr;
  const HMODULE module = _stricmp(info->szDll, "node.exe") == 0
                             ? GetModuleHandleW(nullptr)
                             : LoadLibraryExA(info->szDll, nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32);
  return reinterpret_cast<FARPROC>(module);
}

}  // namespace

extern "C" {
PfnDliHook __pfnDliNotifyHook2 = FindDelayed;
}
