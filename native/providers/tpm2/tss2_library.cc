#include "providers/tpm2/tss2_library.h"

#include <cstdlib>
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
          ". Install it: `apt install libtss2-sys1 libtss2-rc0` or, where those names are unknown, "
          "`apt install tpm2-tools` (Debian, Ubuntu), `dnf install tpm2-tss` (Fedora), `pacman -S "
          "tpm2-tss` (Arch)");
}

std::unique_ptr<const Tss2Library> Load() {
  auto table = std::make_unique<Tss2Library>();
#define DEVICE_KEY_RESOLVE(name) table->name = library.Symbol<decltype(&::name)>(#name);
  {
    // Since tpm2-tss 3.0. The previous library (.so.0) has another structure layout.
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
#undef DEVICE_KEY_RESOLVE
  return table;
}

}  // namespace

// The libraries are never unloaded: they and their libcrypto keep state in thread-local storage and
// exit handlers, and a detached thread may still use them.
const Tss2Library& Tss2Library::Get() {
  static std::mutex mutex;
  static const Tss2Library* loaded = nullptr;
  std::lock_guard lock(mutex);
  if (loaded == nullptr) {
    try {
      loaded = Load().release();
    } catch (const DeviceKeyError& error) {
      ThrowMissing(error);
    }
  }
  // cppcheck-suppress nullPointerRedundantCheck  ; ThrowMissing does not return
  return *loaded;
}

void Tss2Library::Silence() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a duty of the caller
  setenv("TSS2_LOG", "all+NONE", /*overwrite=*/0);
}

}  // namespace device_key
