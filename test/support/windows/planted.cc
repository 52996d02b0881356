// Makes a stand-in an impostor, put where it must not be found: tells that it was.
#include "behaviour.h"

extern "C" BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  if (reason == DLL_PROCESS_ATTACH) std::ofstream(Home() / "planted-was-loaded") << "yes";
  return TRUE;
}
