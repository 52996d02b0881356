#include "providers/tpm2/tss2_library.h"

#include <memory>
#include <mutex>
#include <string>

#include "platform/dynamic_library.h"
#include "platform/error.h"

namespace device_key {
namespace {

[[noreturn]] void ThrowMissing(const DeviceKeyError& cause) {
  throw DeviceKeyError(
      ErrorCode::kLibraryMissing,
      std::string("could not load tpm2-tss, which talks to the TPM: ") + cause.what() +
          ". Install it: `apt install libtss2-sys1 libtss2-rc0 libtss2-tctildr0` or, where those "
          "names are "
          "unknown, `apt install tpm2-tools` (Debian, Ubuntu), `dnf install tpm2-tss` (Fedora), "
          "`pacman -S tpm2-tss` (Arch)");
}

// Loads `table` once. The libraries stay loaded: they and the libcrypto that they bring keep state
// in thread-local storage and exit handlers, and may still be in use on a detached thread.
template <class Table, class Load>
const Table& LoadOnce(std::mutex& mutex, const Table*& loaded, Load load) {
  std::lock_guard lock(mutex);
  if (loaded == nullptr) {
    try {
      auto table = std::make_unique<Table>();
      load(*table);
      loaded = table.release();
    } catch (const DeviceKeyError& error) {
      ThrowMissing(error);
    }
  }
  return *loaded;
}

}  // namespace

#define DEVICE_KEY_RESOLVE(name) table.name = library.Symbol<decltype(&::name)>(#name);

const Tss2Library& Tss2Library::Get() {
  static std::mutex mutex;
  static const Tss2Library* loaded = nullptr;
  return LoadOnce(mutex, loaded, [](Tss2Library& table) {
    {
      // Since tpm2-tss 3.0. The structures of the library before it (.so.0) are laid out otherwise.
      const DynamicLibrary library = DynamicLibrary::Open("libtss2-sys.so.1");
      DEVICE_KEY_SYS_SYMBOLS(DEVICE_KEY_RESOLVE)
    }
    {
      const DynamicLibrary library = DynamicLibrary::Open("libtss2-mu.so.0");
      DEVICE_KEY_MU_SYMBOLS(DEVICE_KEY_RESOLVE)
    }
    {
      const DynamicLibrary library = DynamicLibrary::Open("libtss2-rc.so.0");
      DEVICE_KEY_RC_SYMBOLS(DEVICE_KEY_RESOLVE)
    }
  });
}

const Tss2TctiLoader& Tss2TctiLoader::Get() {
  static std::mutex mutex;
  static const Tss2TctiLoader* loaded = nullptr;
  return LoadOnce(mutex, loaded, [](Tss2TctiLoader& table) {
    const DynamicLibrary library = DynamicLibrary::Open("libtss2-tctildr.so.0");
    DEVICE_KEY_TCTILDR_SYMBOLS(DEVICE_KEY_RESOLVE)
  });
}

#undef DEVICE_KEY_RESOLVE

}  // namespace device_key
