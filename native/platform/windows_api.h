// <windows.h> without the parts that we do not use and without the macros that break C++. Only for
// *_win.cc files and providers/cng.
#ifndef DEVICE_KEY_PLATFORM_WINDOWS_API_H_
#define DEVICE_KEY_PLATFORM_WINDOWS_API_H_

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace device_key {

std::wstring WideFromUtf8(std::string_view text);
std::string Utf8FromWide(std::wstring_view text);

// Windows' message for an error number or an HRESULT, without its line end. Just the number if
// Windows has no message.
std::string WindowsMessage(uint32_t status);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_WINDOWS_API_H_
