// Libraries that are loaded at run time, so that a missing library causes an error, not a crash.
#ifndef DEVICE_KEY_PLATFORM_DYNAMIC_LIBRARY_H_
#define DEVICE_KEY_PLATFORM_DYNAMIC_LIBRARY_H_

#include <string>
#include <type_traits>

namespace device_key {

// A reference to a library. The library is never unloaded: those that we load (tpm2-tss with its
// libcrypto, PKCS#11 modules) register atexit handlers and thread-local destructors and start
// threads, which would crash if their code were unmapped. Opening a library again is cheap, because
// the loader counts references. Copyable and thread-safe.
class DynamicLibrary {
 public:
  // `name` is a soname that the loader searches for ("libtss2-sys.so.1") or an absolute path.
  // Throws `library_missing` with the loader's message.
  static DynamicLibrary Open(const char* name);

  // Returns the function `name` as a pointer of type F: `Symbol<decltype(&C_Sign)>("C_Sign")`.
  // Throws `library_missing` if this version of the library does not have it.
  template <class F>
  F Symbol(const char* name) const {
    static_assert(std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>);
    return reinterpret_cast<F>(Find(name));
  }

 private:
  DynamicLibrary(std::string name, void* handle) : name_(std::move(name)), handle_(handle) {}
  void* Find(const char* name) const;

  std::string name_;
  void* handle_;
};

// Keeps the library that this code is part of loaded until the process ends. Node.js unloads an
// addon with the last environment that loaded it (a worker's), and an abandoned thread (in a key
// store or PKCS#11 module that hangs) may still run its code. Does nothing on Linux, where the
// linker's `-z nodelete` has this effect.
void KeepThisLibraryLoaded();

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_DYNAMIC_LIBRARY_H_
