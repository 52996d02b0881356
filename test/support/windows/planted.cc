// Turns a stand-in into a planted DLL: it creates a marker file when it is loaded.
#include "behaviour.h"

extern "C" BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  if (reason == DLL_PROCESS_ATTACH) std::ofstream(Home() / "planted-was-loaded") << "yes";
  return TRUE;
}
