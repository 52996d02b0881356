// Controls the stand-in for Windows' key stores (test/support/windows).
#ifndef DEVICE_KEY_TEST_PROVIDERS_STAND_IN_KEY_STORE_H_
#define DEVICE_KEY_TEST_PROVIDERS_STAND_IN_KEY_STORE_H_

#include <filesystem>
#include <initializer_list>
#include <string>

#include "platform/dynamic_library.h"
#include "platform/temporary_directory.h"
#include "platform/windows_api.h"

namespace device_key {

// An empty key store. It works correctly unless Behave is called. Only one may exist at a time.
class StandInKeyStore {
 public:
  StandInKeyStore() {
    SetEnvironmentVariableW(L"NCRYPT_STAND_IN", directory_.path().c_str());
    mistakes_before_ = mistakes();
  }

  // Sets the lines of `behaviour.txt` (see stand_in_ncrypt.cc). Without lines it works correctly.
  void Behave(std::initializer_list<const char*> lines) const {
    std::string text;
    for (const char* line : lines) text += std::string(line) + "\n";
    WriteFile(directory_ / "behaviour.txt", text);
  }

  size_t Keys() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      count += entry.path().filename() != "behaviour.txt";
    }
    return count;
  }

  bool Has(const std::string& file) const { return std::filesystem::exists(directory_ / file); }

  // Handles of this process that have not been freed.
  static size_t OpenHandles() { return Function<size_t()>("StandInOpenHandles")(); }

  // Calls since this object was made that were not silent, or that used a freed handle.
  unsigned Mistakes() const { return mistakes() - mistakes_before_; }

 private:
  template <class F>
  static F* Function(const char* name) {
    return DynamicLibrary::Open("ncrypt.dll").Symbol<F*>(name);
  }
  static unsigned mistakes() { return Function<unsigned()>("StandInMistakes")(); }

  const TemporaryDirectory directory_;
  unsigned mistakes_before_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PROVIDERS_STAND_IN_KEY_STORE_H_
