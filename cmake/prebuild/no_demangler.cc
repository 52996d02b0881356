// Replaces a function of zig's C++ library in the prebuilt addons.
#include <cstddef>

// libc++abi calls it to print the type of an uncaught exception, and it would be 3 % of the addon.
// https://itanium-cxx-abi.github.io/cxx-abi/abi.html#demangler: -2 says that the name is not valid.
extern "C" char* __cxa_demangle(const char* name, char* buffer, size_t* length, int* status) {
  static_cast<void>(name);
  static_cast<void>(buffer);
  static_cast<void>(length);
  if (status != nullptr) *status = -2;
  return nullptr;
}
