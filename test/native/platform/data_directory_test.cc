#include "platform/data_directory.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "platform/expect_error.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

// Sets a variable until the end of the test; null unsets it.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = getenv(name)) old_ = old;
    Set(value);
  }
  ~ScopedVariable() { Set(old_ ? old_->c_str() : nullptr); }

 private:
  void Set(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }

  const char* name_;
  std::optional<std::string> old_;
};

class DataDirectoryTest : public testing::Test {
 protected:
  ScopedVariable no_device_key_home_{"DEVICE_KEY_HOME", nullptr};
  ScopedVariable no_xdg_data_home_{"XDG_DATA_HOME", nullptr};
  ScopedVariable home_{"HOME", "/home/somebody"};
};

TEST_F(DataDirectoryTest, IsNamedByDeviceKeyHomeFirst) {
  const ScopedVariable xdg("XDG_DATA_HOME", "/data");
  const ScopedVariable chosen("DEVICE_KEY_HOME", "/my/keys");

  EXPECT_EQ(DefaultStoreDirectory(), "/my/keys");
}

TEST_F(DataDirectoryTest, IsAbsoluteEvenWhenDeviceKeyHomeIsNot) {
  const ScopedVariable chosen("DEVICE_KEY_HOME", "keys");

  EXPECT_EQ(DefaultStoreDirectory(), fs::current_path() / "keys");
}

TEST_F(DataDirectoryTest, IgnoresAnEmptyDeviceKeyHome) {
  const ScopedVariable expected("DEVICE_KEY_HOME", nullptr);
  const fs::path without = DefaultStoreDirectory();
  const ScopedVariable empty("DEVICE_KEY_HOME", "");

  EXPECT_EQ(DefaultStoreDirectory(), without);
}

#ifdef __APPLE__
TEST_F(DataDirectoryTest, IsInApplicationSupport) {
  EXPECT_EQ(DefaultStoreDirectory(), "/home/somebody/Library/Application Support/device-keys");
}
#else
TEST_F(DataDirectoryTest, IsInTheXdgDataHome) {
  const ScopedVariable xdg("XDG_DATA_HOME", "/data");

  EXPECT_EQ(DefaultStoreDirectory(), "/data/device-keys");
}

TEST_F(DataDirectoryTest, IgnoresARelativeXdgDataHome) {
  const ScopedVariable xdg("XDG_DATA_HOME", "data");

  EXPECT_EQ(DefaultStoreDirectory(), "/home/somebody/.local/share/device-keys");
}

TEST_F(DataDirectoryTest, IsBelowHome) {
  EXPECT_EQ(DefaultStoreDirectory(), "/home/somebody/.local/share/device-keys");
}

TEST_F(DataDirectoryTest, IsInThePasswordDatabaseWhenHomeIsNotSet) {
  const ScopedVariable no_home("HOME", nullptr);
  const passwd* entry = getpwuid(geteuid());
  if (entry == nullptr) {
    ExpectError(
        ErrorCode::kStoreUnwritable, [] { DefaultStoreDirectory(); }, "DEVICE_KEY_HOME");
  } else {
    EXPECT_EQ(DefaultStoreDirectory(), fs::path(entry->pw_dir) / ".local/share/device-keys");
  }
}
#endif

}  // namespace
}  // namespace device_key
