// Libraries that are loaded at run time, so that their absence is an answer and not a crash.
#ifndef DEVICE_KEY_PLATFORM_DYNAMIC_LIBRARY_H_
#define DEVICE_KEY_PLATFORM_DYNAMIC_LIBRARY_H_

#include <string>
#include <type_traits>

namespace device_key {

// A library that was loaded, and stays loaded until the process ends, whatever becomes of this
// object: the libraries that we load (tpm2-tss, libcrypto below it, PKCS#11 modules) register
// atexit handlers, thread-local destructors and threads of their own, and unmapping their code
// makes each of those a crash at thread or process exit. Opening a library again costs nothing (the
// loader counts), so a copyable reference is all there is to own. Thread-safe.
class DynamicLibrary {
 public:
  // `name` is a soname that the loader searches for ("libtss2-sys.so.1") or an absolute path.
  // Throws `library_missing` with the loader's own words.
  static DynamicLibrary Open(const char* name);

  // The function `name` as a pointer of type F: `Symbol<decltype(&C_Sign)>("C_Sign")`.
  // Throws `library_missing` when this version of the library has none.
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
// addon with the last environment that loaded it (a worker's), and threads that were given up
// (in a key store that hangs, a PKCS#11 module) may still run its code. Does nothing on Linux,
// where the linker's `-z nodelete` says the same.
void KeepThisLibraryLoaded();

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_DYNAMIC_LIBRARY_H_
