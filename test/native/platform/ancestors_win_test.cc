// Which access lists above the key store let another user replace the store. The lists are checked
// in memory, because Wine stores too little of a file's access list.
#include "platform/ancestors_win.h"

#include <gtest/gtest.h>

#include "platform/windows_access.h"
// After <windows.h>.
#include <sddl.h>

#include <ostream>
#include <stdexcept>
#include <string>

namespace device_key {
namespace {

constexpr char kUser[] = "S-1-5-21-1-2-3-1001";
constexpr char kNobody[] = "nobody";
constexpr char kTrustedInstaller[] =
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

// The user that can replace the store, as text; `sddl` is the owner and the list.
std::string WhoMayReplace(const std::string& sddl, AncestorKind kind) {
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
          WideFromUtf8(sddl).c_str(), SDDL_REVISION_1, &descriptor, nullptr)) {
    throw std::runtime_error("not SDDL: " + sddl);
  }
  const LocalPtr<void> scoped_descriptor(descriptor);
  PSID user = nullptr;
  ConvertStringSidToSidW(WideFromUtf8(kUser).c_str(), &user);
  const LocalPtr<void> scoped_user(user);
  PSID owner = nullptr;
  PACL list = nullptr;
  BOOL defaulted = FALSE;
  BOOL present = FALSE;
  GetSecurityDescriptorOwner(descriptor, &owner, &defaulted);
  GetSecurityDescriptorDacl(descriptor, &present, &list, &defaulted);
  PSID other = FindWhoMayReplace(owner, list, kind, user);
  return other == nullptr ? kNobody : Utf8FromWide(SidText(other));
}

struct Case {
  const char* name;
  std::string sddl;
  AncestorKind kind;
  std::string who;
};

std::ostream& operator<<(std::ostream& stream, const Case& example) {
  return stream << example.sddl;
}

std::string NameOf(const testing::TestParamInfo<Case>& info) { return info.param.name; }

std::string Owned(const std::string& list) { return std::string("O:") + kUser + "D:P" + list; }

class AncestorListTest : public testing::TestWithParam<Case> {};

TEST_P(AncestorListTest, FindsWhoCanReplaceAStoreBelow) {
  EXPECT_EQ(WhoMayReplace(GetParam().sddl, GetParam().kind), GetParam().who);
}

// The lists of Windows 10 and 11 as published; not read from a real Windows.
INSTANTIATE_TEST_SUITE_P(
    WindowsOwn, AncestorListTest,
    testing::Values(
        Case{"DriveC",
             std::string("O:") + kTrustedInstaller +
                 "D:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;;FA;;;SY)(A;OICIIO;GA;;;SY)"
                 "(A;OICIIO;GA;;;BA)(A;;FA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)",
             AncestorKind::kRoot, kNobody},
        Case{"DriveD",
             "O:BAD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;AU)(A;OICI;0x1200a9;;;BU)",
             AncestorKind::kRoot, kNobody},
        Case{"Users",
             "O:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)"
             "(A;;0x1200a9;;;WD)(A;OICIIO;GXGR;;;WD)",
             AncestorKind::kDirectory, kNobody},
        Case{"Profile",
             std::string("O:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;") + kUser + ")",
             AncestorKind::kDirectory, kNobody},
        Case{"FolderInDriveD",
             "O:BAD:AI(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;OICIID;0x1301bf;;;AU)",
             AncestorKind::kDirectory, "S-1-5-11"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Rights, AncestorListTest,
    testing::Values(
        Case{"Delete", Owned("(A;;SD;;;WD)"), AncestorKind::kDirectory, "S-1-1-0"},
        Case{"DeleteOfARoot", Owned("(A;;SD;;;WD)"), AncestorKind::kRoot, kNobody},
        Case{"DeleteChild", Owned("(A;;DT;;;WD)"), AncestorKind::kDirectory, "S-1-1-0"},
        Case{"DeleteChildOfARoot", Owned("(A;;DT;;;WD)"), AncestorKind::kRoot, "S-1-1-0"},
        Case{"WriteDac", Owned("(A;;WD;;;BU)"), AncestorKind::kDirectory, "S-1-5-32-545"},
        Case{"WriteOwner", Owned("(A;;WO;;;BU)"), AncestorKind::kDirectory, "S-1-5-32-545"},
        Case{"GenericAll", Owned("(A;;GA;;;BU)"), AncestorKind::kDirectory, "S-1-5-32-545"},
        Case{"AddSubdirectory", Owned("(A;;LC;;;AU)"), AncestorKind::kDirectory, kNobody},
        Case{"AddFile", Owned("(A;;DC;;;AU)"), AncestorKind::kDirectory, kNobody},
        Case{"RetargetALink", Owned("(A;;DC;;;AU)"), AncestorKind::kLink, "S-1-5-11"},
        Case{"ForNewEntriesAlone", Owned("(A;OICIIO;FA;;;WD)"), AncestorKind::kDirectory, kNobody},
        Case{"Denied", Owned("(D;;FA;;;WD)"), AncestorKind::kDirectory, kNobody},
        Case{"AppPackages", Owned("(A;OICI;FA;;;S-1-15-2-1)"), AncestorKind::kDirectory, kNobody}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(Owners, AncestorListTest,
                         testing::Values(Case{"AnotherUser", "O:S-1-5-21-1-2-3-1002D:P(A;;FA;;;SY)",
                                              AncestorKind::kDirectory, "S-1-5-21-1-2-3-1002"},
                                         Case{"Administrators", "O:BAD:P(A;;FA;;;SY)",
                                              AncestorKind::kDirectory, kNobody},
                                         Case{"TrustedInstaller",
                                              std::string("O:") + kTrustedInstaller +
                                                  "D:P(A;;FA;;;" + kTrustedInstaller + ")",
                                              AncestorKind::kDirectory, kNobody}),
                         NameOf);

TEST(AncestorWinTest, EveryoneCanReplaceAStoreBelowADirectoryWithoutAnAccessList) {
  uint8_t everyone[SECURITY_MAX_SID_SIZE];
  DWORD size = sizeof everyone;
  ASSERT_TRUE(CreateWellKnownSid(WinWorldSid, nullptr, everyone, &size));
  const Sid user = CurrentUser();

  EXPECT_TRUE(EqualSid(
      FindWhoMayReplace(user.get(), /*list=*/nullptr, AncestorKind::kDirectory, user.get()),
      everyone));
}

}  // namespace
}  // namespace device_key
