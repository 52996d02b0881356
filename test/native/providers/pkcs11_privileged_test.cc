// A user must not choose code that runs in a process with more privileges than the user has.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "platform/temporary_directory.h"
#include "providers/pkcs11/pkcs11_provider.h"
#include "support/softhsm.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kUser = 65534;  // nobody
constexpr int kLoaded = 10;
constexpr int kNotLoaded = 11;

bool IsMapped(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(name)) return true;
  }
  return false;
}

// The copies of this program run this: it uses PKCS#11 and reports whether the planted module was
// loaded.
TEST(Pkcs11PrivilegedProgram, DISABLED_Child) {
  Pkcs11Provider(Pkcs11Options{})
      .Probe({.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20)});
  _exit(IsMapped("/planted.so") ? kLoaded : kNotLoaded);
}

enum class Privilege { kNone, kSetUserId, kFileCapability };

class Pkcs11PrivilegedTest : public ::testing::TestWithParam<Privilege> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make privileged programs";
    chmod(root_.path().c_str(), 0755);
    fs::copy_file(testing::kSoftHsmModule, planted_);
    fs::copy_file("/proc/self/exe", program_);
    chmod(program_.c_str(), GetParam() == Privilege::kSetUserId ? 04755 : 0755);
    if (GetParam() == Privilege::kFileCapability &&
        std::system(("setcap cap_net_bind_service+ep " + program_.string()).c_str()) != 0) {
      GTEST_SKIP() << "setcap (libcap2-bin) is missing, or the file system has no capabilities";
    }
  }

  // Runs the program as an unprivileged user with `variable` as its only variable.
  int Run(const std::string& variable) const {
    const pid_t child = fork();
    if (child == 0) {
      if (chdir("/") != 0 || setgid(kUser) != 0 || setuid(kUser) != 0) _exit(1);
      std::string filter = "--gtest_filter=Pkcs11PrivilegedProgram.DISABLED_Child";
      std::string all = "--gtest_also_run_disabled_tests";
      std::string name = program_.string();
      std::string setting = variable;
      char* const arguments[] = {name.data(), filter.data(), all.data(), nullptr};
      char* const environment[] = {setting.data(), nullptr};
      execve(name.c_str(), arguments, environment);
      _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Only a process without additional privileges obeys its user.
  static int Expected() { return GetParam() == Privilege::kNone ? kLoaded : kNotLoaded; }

  const TemporaryDirectory root_;
  const fs::path planted_ = root_.path() / "planted.so";
  const fs::path program_ = root_.path() / "program";
};

TEST_P(Pkcs11PrivilegedTest, TheVariableThatNamesAModuleLoadsItOnlyWithoutPrivileges) {
  EXPECT_EQ(Run("DEVICE_KEY_PKCS11_MODULE=" + planted_.string()), Expected());
}

TEST_P(Pkcs11PrivilegedTest, AModuleThatTheUserRegisteredIsLoadedOnlyWithoutPrivileges) {
  fs::create_directories(root_.path() / "pkcs11/modules");
  std::ofstream(root_.path() / "pkcs11/modules/planted.module")
      << "module: " << planted_.string() << "\n";
  EXPECT_EQ(Run("XDG_CONFIG_HOME=" + root_.path().string()), Expected());
}

INSTANTIATE_TEST_SUITE_P(, Pkcs11PrivilegedTest,
                         ::testing::Values(Privilege::kNone, Privilege::kSetUserId,
                                           Privilege::kFileCapability),
                         [](const auto& info) {
                           switch (info.param) {
                             case Privilege::kNone:
                               return "WithoutPrivileges";
                             case Privilege::kSetUserId:
                               return "SetUserId";
                             default:
                               return "FileCapability";
                           }
                         });

}  // namespace
}  // namespace device_key
