// Sets and reads access lists of Windows for tests.
#ifndef DEVICE_KEY_TEST_PLATFORM_ACCESS_LIST_H_
#define DEVICE_KEY_TEST_PLATFORM_ACCESS_LIST_H_

#include <filesystem>
#include <string>

namespace device_key {

// Grants everyone every right.
void AllowOthersToWrite(const std::filesystem::path& path);

// Grants every right to this user, and no right to anyone else.
void RestrictToThisUser(const std::filesystem::path& path);

// The access list in Windows' notation (SDDL), with "ME" for this user: "D:P(A;OICI;FA;;;ME)".
std::string AccessList(const std::filesystem::path& path);

// Replaces the access list.
void SetAccessList(const std::filesystem::path& path, const std::string& sddl);

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PLATFORM_ACCESS_LIST_H_
