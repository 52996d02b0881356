// A stand-in for tbs.dll (TPM Base Services), because Wine's own finds no TPM.
//
// It supports the misbehaviour of behaviour.h, and `no-tbs`, with which it cannot be loaded.
#include "behaviour.h"

extern "C" {

// TPM_DEVICE_INFO: four 32-bit numbers. The first is its own version, the second the TPM's: 1 for
// 1.2 and 2 for 2.0.
__declspec(dllexport) UINT32 WINAPI Tbsi_GetDeviceInfo(UINT32 size, void* info) {
  constexpr UINT32 kBadParameter = 0x80284002;
  constexpr UINT32 kTpmNotFound = 0x8028400f;
  AwaitResumption();
  if (const LONG told = Told("Tbsi_GetDeviceInfo"); told != 0) return static_cast<UINT32>(told);
  if (size != 4 * sizeof(UINT32)) return kBadParameter;
  if (Is("no-tpm")) return kTpmNotFound;
  auto* numbers = static_cast<UINT32*>(info);
  numbers[0] = 1;
  numbers[1] = Is("tpm-1.2") ? 1 : 2;
  numbers[2] = 0;
  numbers[3] = 0;
  return 0;
}

#if !defined(PLANTED)
BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  return reason != DLL_PROCESS_ATTACH || !Is("no-tbs");
}
#endif

}  // extern "C"
