#include "providers/pkcs11/p11_kit_modules.h"

#include <gtest/gtest.h>

namespace device_key {
namespace {

TEST(P11KitModulesTest, KnowsTheProxyByItsName) {
  EXPECT_TRUE(IsP11KitProxy("p11-kit-proxy.so"));
  EXPECT_TRUE(IsP11KitProxy("/usr/lib/x86_64-linux-gnu/libp11-kit.so.0"));
  EXPECT_FALSE(IsP11KitProxy("/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"));
}

TEST(P11KitModulesTest, FindsTheModuleOfAConfiguration) {
  EXPECT_EQ(ModuleOfP11KitConfig("# module: not-this.so\n\nmodule: /usr/lib/m.so \ncritical: no\n"),
            "/usr/lib/m.so");
}

TEST(P11KitModulesTest, FindsNoneInTheConfigurationOfARemoteModule) {
  EXPECT_EQ(ModuleOfP11KitConfig("remote: unix:path=/run/hsm/socket\n"), std::nullopt);
}

TEST(P11KitModulesTest, LeavesOutModulesThatTheProxyLeavesOut) {
  EXPECT_EQ(ModuleOfP11KitConfig("module: trust.so\ndisable-in: p11-kit-proxy\n"), std::nullopt);
}

}  // namespace
}  // namespace device_key
