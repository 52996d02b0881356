#include "providers/pkcs11/p11_kit_modules.h"

#include <gtest/gtest.h>

#include <fstream>

#include "platform/temporary_directory.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

class P11KitModulesTest : public testing::Test {
 protected:
  void Write(const fs::path& file, const std::string& text) const {
    fs::create_directories((root_.path() / file).parent_path());
    std::ofstream(root_.path() / file) << text;
  }

  // "name=library" of each module, separated by blanks.
  std::string Registered(bool with_user = true) const {
    P11KitDirectories directories{root_.path() / "package", root_.path() / "system", std::nullopt};
    if (with_user) directories.user = root_.path() / "user";
    std::string text;
    for (const RegisteredModule& module : RegisteredModules(directories, "program")) {
      text += (text.empty() ? "" : " ") + module.name + "=" + module.library;
      if (module.needs_proxy) text += "(proxy)";
    }
    return text;
  }

  const TemporaryDirectory root_;
};

TEST_F(P11KitModulesTest, ReadsWhereTheModuleIs) {
  Write("package/a.module", "# module: not-this.so\n\nmodule: /usr/lib/m.so \ncritical: no\n");
  Write("package/b.txt", "module: b.so\n");
  EXPECT_EQ(Registered(), "a=/usr/lib/m.so");
}

TEST_F(P11KitModulesTest, MergesTheFilesOfOneNameTheUsersFirst) {
  Write("package/a.module", "module: package.so\ndisable-in: program\n");
  Write("system/modules/a.module", "module: system.so\n");
  Write("user/modules/a.module", "disable-in: another\n");
  EXPECT_EQ(Registered(), "a=system.so");
  EXPECT_EQ(Registered(/*with_user=*/false), "");
}

TEST_F(P11KitModulesTest, AnEmptyModuleDisablesTheModuleOfAnotherFile) {
  Write("package/a.module", "module: a.so\n");
  Write("user/modules/a.module", "module:\n");
  EXPECT_EQ(Registered(), "");
}

TEST_F(P11KitModulesTest, OmitsModulesThatAreDisabledInThisProgramOrTheProxy) {
  Write("package/a.module", "module: a.so\ndisable-in: another, program\n");
  Write("package/b.module", "module: b.so\ndisable-in: p11-kit-proxy\n");
  Write("package/c.module", "module: c.so\ndisable-in: programs,p11-kit-proxy2\n");
  EXPECT_EQ(Registered(), "c=c.so");
}

TEST_F(P11KitModulesTest, OmitsModulesThatAreEnabledOnlyInOtherPrograms) {
  Write("package/a.module", "module: a.so\nenable-in: firefox\n");
  Write("package/b.module", "module: b.so\nenable-in: firefox program\n");
  Write("package/c.module", "module: c.so\nenable-in: p11-kit-proxy\ndisable-in: program\n");
  EXPECT_EQ(Registered(), "b=b.so c=c.so");
}

TEST_F(P11KitModulesTest, ObeysUserConfig) {
  Write("package/a.module", "module: a.so\n");
  Write("user/modules/b.module", "module: b.so\n");
  EXPECT_EQ(Registered(), "a=a.so b=b.so");
  Write("system/pkcs11.conf", "user-config: only\n");
  EXPECT_EQ(Registered(), "b=b.so");
  Write("user/pkcs11.conf", "user-config: merge\n");
  EXPECT_EQ(Registered(), "a=a.so b=b.so");
  Write("system/pkcs11.conf", "user-config: none\n");
  EXPECT_EQ(Registered(), "a=a.so") << "the system's none cannot be undone by the user";
}

TEST_F(P11KitModulesTest, RecognisesModulesThatOnlyTheProxyCanStart) {
  Write("package/a.module", "remote: unix:path=/run/hsm/socket\n");
  Write("package/b.module", "module: b.so\nx-init-reserved: configdir=x\n");
  Write("package/c.module", "module: c.so\nx-init-reserved:\n");
  EXPECT_EQ(Registered(), "a=(proxy) b=b.so(proxy) c=c.so");
}

TEST_F(P11KitModulesTest, RecognisesTpm2Pkcs11ByItsFile) {
  EXPECT_TRUE((RegisteredModule{.name = "any", .library = "libtpm2_pkcs11.so"}.IsTpm2Pkcs11()));
  EXPECT_TRUE((RegisteredModule{.name = "", .library = "/lib/libtpm2_pkcs11.so.1"}.IsTpm2Pkcs11()));
  EXPECT_FALSE((RegisteredModule{.name = "", .library = "opensc-pkcs11.so"}.IsTpm2Pkcs11()));
}

TEST_F(P11KitModulesTest, RecognisesTheProxyByItsName) {
  EXPECT_TRUE(IsP11KitProxy("p11-kit-proxy.so"));
  EXPECT_TRUE(IsP11KitProxy("/usr/lib/x86_64-linux-gnu/libp11-kit.so.0"));
  EXPECT_FALSE(IsP11KitProxy("/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"));
}

}  // namespace
}  // namespace device_key
