// Decides where the addon for Windows finds the libraries that it loads on first use.
//
// The addon imports Node-API from "node.exe", but an application's executable may have any name
// (Electron's has the application's): the host is the executable of this process.
// Node.js loads addons with a search order in which libraries beside the addon come first, but the
// system's libraries must come from System32. For mingw-w64; with MSVC, node-gyp has its own hook.
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
