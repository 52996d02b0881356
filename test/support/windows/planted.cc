// Makes a stand-in a planted DLL: it leaves a marker file when it is loaded.
#include "behaviour.h"

extern "C" BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  if (reason == DLL_PROCESS_ATTACH) std::ofstream(Home() / "planted-was-loaded") << "yes";
  return TRUE;
}
