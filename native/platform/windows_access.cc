#include "platform/windows_access.h"

#include <sddl.h>

#include "platform/error.h"
#include "platform/unique_handle.h"

namespace device_key {

std::wstring ExtendedPath(const std::filesystem::path& path) {
  const std::wstring text = path.wstring();
  if (text.starts_with(L"\\\\?\\") || text.starts_with(L"\\\\.\\")) return text;
  if (text.starts_with(L"\\\\")) return L"\\\\?\\UNC\\" + text.substr(2);
  return L"\\\\?\\" + text;
}

bool IsLink(HANDLE file) {
  FILE_ATTRIBUTE_TAG_INFO info{};
  return GetFileInformationByHandleEx(file, FileAttributeTagInfo, &info, sizeof info) &&
         (info.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 &&
         IsReparseTagNameSurrogate(info.ReparseTag);
}

Sid CurrentUser() {
  HANDLE token = nullptr;
  if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
    ThrowWindows("the user of this process cannot be read", GetLastError());
  }
  const UniqueHandle scoped_token(token);
  DWORD size = 0;
  GetTokenInformation(token, TokenUser, nullptr, 0, &size);
  std::vector<uint8_t> buffer(size);
  if (!GetTokenInformation(token, TokenUser, buffer.data(), size, &size)) {
    ThrowWindows("the user of this process cannot be read", GetLastError());
  }
  PSID sid = reinterpret_cast<TOKEN_USER*>(buffer.data())->User.Sid;
  const auto* first = static_cast<const uint8_t*>(sid);
  return {{first, first + GetLengthSid(sid)}};
}

std::wstring SidText(PSID sid) {
  LPWSTR text = nullptr;
  if (!ConvertSidToStringSidW(sid, &text)) return L"?";
  const LocalPtr<wchar_t> scoped_text(text);
  return text;
}

std::string IcaclsName(PSID sid) { return '*' + Utf8FromWide(SidText(sid)); }

bool IsSystem(PSID sid) {
  return IsWellKnownSid(sid, WinLocalSystemSid) ||
         IsWellKnownSid(sid, WinBuiltinAdministratorsSid) ||
         IsWellKnownSid(sid, WinCreatorOwnerSid) || IsWellKnownSid(sid, WinCreatorOwnerRightsSid);
}

FileSecurity SecurityOf(HANDLE file, const std::string& what) {
  FileSecurity security;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  const DWORD error =
      GetSecurityInfo(file, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                      &security.owner, nullptr, &security.list, nullptr, &descriptor);
  if (error != ERROR_SUCCESS) ThrowWindows(what + " cannot be examined", error);
  security.descriptor.reset(descriptor);
  return security;
}

std::vector<Grant> GrantsOf(PACL list, bool inherit_only) {
  std::vector<Grant> grants;
  for (DWORD i = 0; i < list->AceCount; ++i) {
    void* entry = nullptr;
    if (!GetAce(list, i, &entry)) ThrowWindows("an access list cannot be read", GetLastError());
    const auto* header = static_cast<const ACE_HEADER*>(entry);
    // A conditional entry begins like the plain one, and counts as if its condition were true. The
    // other types of allowing entries are for directory services.
    if (header->AceType != ACCESS_ALLOWED_ACE_TYPE &&
        header->AceType != ACCESS_ALLOWED_CALLBACK_ACE_TYPE) {
      continue;
    }
    if ((header->AceFlags & INHERIT_ONLY_ACE) != 0 && !inherit_only) continue;
    auto* allowed = static_cast<ACCESS_ALLOWED_ACE*>(entry);
    grants.push_back({&allowed->SidStart, allowed->Mask});
  }
  return grants;
}

void ThrowWindows(const std::string& what, DWORD error) {
  throw DeviceKeyError(ErrorCode::kStoreUnwritable, what + ": " + WindowsMessage(error), error);
}

}  // namespace device_key
