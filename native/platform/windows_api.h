// <windows.h> without what we do not use and without the macros that break C++. For the *_win.cc
// files and providers/cng alone.
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

// What Windows says about an error number or an HRESULT, without its line end; the number alone
// when it has no words for it.
std::string WindowsMessage(uint32_t status);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_WINDOWS_API_H_
