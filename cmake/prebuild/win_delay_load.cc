// The helper that looks up delay-loaded functions. zig has its source, from mingw-w64, and builds
// no library of it. It is C, and relies on declarations without `extern "C"`.
#include <windows.h>

extern "C" {
#include <delayimp.c>  // includes <delayimp.h>, which has no include guard

PfnDliHook __pfnDliFailureHook2 = nullptr;
}
