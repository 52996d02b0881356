#include "platform/environment.h"
#include "platform/windows_api.h"

namespace device_key {

// Not getenv: the C runtime copies the variables at start-up and does not see what JavaScript
// assigns to process.env. Windows has no counterpart of set-user-ID programs.
std::optional<std::string> Environment::Get(const char* name) const {
  if (empty_) return std::nullopt;
  const std::wstring wide_name = WideFromUtf8(name);
  const DWORD size = GetEnvironmentVariableW(wide_name.c_str(), nullptr, 0);  // with its terminator
  if (size <= 1) return std::nullopt;
  std::wstring value(size, L'\0');
  const DWORD length = GetEnvironmentVariableW(wide_name.c_str(), value.data(), size);
  if (length == 0 || length >= size) return std::nullopt;  // changed meanwhile
  value.resize(length);
  return Utf8FromWide(value);
}

}  // namespace device_key
