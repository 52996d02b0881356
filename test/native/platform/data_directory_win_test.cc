#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "platform/data_directory.h"
#include "platform/environment.h"
#include "platform/expect_error.h"
#include "platform/windows_api.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

// Sets a variable until the end of the test; null unsets it.
class ScopedVariable {
 public:
  ScopedVariable(const wchar_t* name, const wchar_t* value)
      : name_(name), old_(Environment().Get(Utf8FromWide(name).c_str())) {
    SetEnvironmentVariableW(name, value);
  }
  ~ScopedVariable() {
    SetEnvironmentVariableW(name_, old_ ? WideFromUtf8(*old_).c_str() : nullptr);
  }

 private:
  const wchar_t* const name_;
  const std::optional<std::string> old_;
};

class DataDirectoryWinTest : public testing::Test {
 protected:
  const ScopedVariable no_device_key_home_{L"DEVICE_KEY_HOME", nullptr};
  const ScopedVariable profile_{L"USERPROFILE", L"C:\\users\\somebody"};
  const ScopedVariable local_{L"LOCALAPPDATA", L"C:\\local"};
};

TEST_F(DataDirectoryWinTest, IsInLocalApplicationData) {
  EXPECT_EQ(DefaultStoreDirectory(), L"C:\\local\\device-keys");
}

TEST_F(DataDirectoryWinTest, IsNamedByDeviceKeyHomeFirst) {
  const ScopedVariable chosen(L"DEVICE_KEY_HOME", L"D:\\Schl\u00fcssel \u9375");

  EXPECT_EQ(DefaultStoreDirectory(), L"D:\\Schl\u00fcssel \u9375");
}

TEST_F(DataDirectoryWinTest, IsAbsoluteEvenWhenDeviceKeyHomeIsNot) {
  const ScopedVariable chosen(L"DEVICE_KEY_HOME", L"keys");

  EXPECT_EQ(DefaultStoreDirectory(), fs::current_path() / "keys");
}

TEST_F(DataDirectoryWinTest, IsInTheProfileWhenTheDirectoryForDataIsUnknownOrRelative) {
  for (const wchar_t* value : {static_cast<const wchar_t*>(nullptr), L"local"}) {
    const ScopedVariable local(L"LOCALAPPDATA", value);
    EXPECT_EQ(DefaultStoreDirectory(), L"C:\\users\\somebody\\AppData\\Local\\device-keys");
  }
}

TEST_F(DataDirectoryWinTest, SaysWhatToSetWhenThereIsNoProfile) {
  const ScopedVariable no_local(L"LOCALAPPDATA", nullptr);
  const ScopedVariable no_profile(L"USERPROFILE", nullptr);

  ExpectError(
      ErrorCode::kStoreUnwritable, [] { DefaultStoreDirectory(); }, "DEVICE_KEY_HOME");
}

}  // namespace
}  // namespace device_key
