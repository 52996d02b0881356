// A stand-in for bcryptprimitives.dll, which Wine 8 does not have. Jest's module resolver gets
// random numbers from it; this package does not use it.
#include <windows.h>
// After <windows.h>.
#include <bcrypt.h>

extern "C" __declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
  return BCryptGenRandom(nullptr, data, static_cast<ULONG>(size),
                         BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0;
}
