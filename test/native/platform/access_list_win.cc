#include "platform/access_list.h"

#include "platform/windows_api.h"
// After <windows.h>.
#include <aclapi.h>
#include <sddl.h>

#include <stdexcept>
#include <vector>

namespace device_key {
namespace {

std::string ThisUser() {
  HANDLE token = nullptr;
  OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token);
  std::vector<uint8_t> buffer(256);
  DWORD size = 0;
  GetTokenInformation(token, TokenUser, buffer.data(), static_cast<DWORD>(buffer.size()), &size);
  CloseHandle(token);
  LPWSTR text = nullptr;
  ConvertSidToStringSidW(reinterpret_cast<TOKEN_USER*>(buffer.data())->User.Sid, &text);
  const std::string user = Utf8FromWide(text);
  LocalFree(text);
  return user;
}

std::string Replaced(std::string text, const std::string& what, const std::string& with) {
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
  return text;
}

}  // namespace

void AllowOthersToWrite(const std::filesystem::path& path) {
  SetAccessList(path, "D:P(A;;FA;;;WD)");
}

void RestrictToThisUser(const std::filesystem::path& path) {
  SetAccessList(path, "D:P(A;;FA;;;ME)");
}

std::string AccessList(const std::filesystem::path& path) {
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  if (GetNamedSecurityInfoW(path.c_str(), SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, nullptr,
                            nullptr, nullptr, nullptr, &descriptor) != ERROR_SUCCESS) {
    throw std::runtime_error("no access list");
  }
  LPWSTR text = nullptr;
  ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, SDDL_REVISION_1,
                                                       DACL_SECURITY_INFORMATION, &text, nullptr);
  const std::string sddl = Utf8FromWide(text);
  LocalFree(text);
  LocalFree(descriptor);
  return Replaced(sddl, ThisUser(), "ME");
}

void SetAccessList(const std::filesystem::path& path, const std::string& sddl) {
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
          WideFromUtf8(Replaced(sddl, "ME", ThisUser())).c_str(), SDDL_REVISION_1, &descriptor,
          nullptr)) {
    throw std::runtime_error("no access list: " + sddl);
  }
  SetFileSecurityW(path.c_str(), DACL_SECURITY_INFORMATION, descriptor);
  LocalFree(descriptor);
}

}  // namespace device_key
