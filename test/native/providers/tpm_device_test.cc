// Which device nodes are accepted as a TPM.
#include "providers/tpm2/tpm_device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "providers/tpm2_fixture.h"
#include "support/tpm_server.h"

namespace device_key {
namespace {

// A pseudo-terminal with a software TPM at its other end: a character device that answers like a
// TPM.
class TpmTerminal {
 public:
  explicit TpmTerminal(const std::string& tpm_socket_path) : line_(tpm_socket_path) {
    master_ = UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    grantpt(master_.get());
    unlockpt(master_.get());
    path_ = ptsname(master_.get());
    slave_ = UniqueFd(open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios settings{};
    tcgetattr(slave_.get(), &settings);
    cfmakeraw(&settings);
    tcsetattr(slave_.get(), TCSANOW, &settings);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TpmTerminal() {
    stop_ = true;
    thread_.join();
  }

  // The kernel refuses further openings with EBUSY, as those of a /dev/tpm0 that is open.
  void HoldExclusively() { EXPECT_EQ(ioctl(slave_.get(), TIOCEXCL), 0); }

  const std::string& path() const { return path_; }
  int commands() const { return commands_; }

 private:
  void Serve() {
    while (!stop_) {
      pollfd wait{master_.get(), POLLIN, 0};
      if (poll(&wait, 1, 20) <= 0) continue;
      const Bytes command = ReadTpmMessage(master_.get());
      if (command.empty()) return;
      ++commands_;
      const Bytes response = line_.Exchange(command);
      if (write(master_.get(), response.data(), response.size()) < 0) return;
    }
  }

  TpmLine line_;
  UniqueFd master_;
  UniqueFd slave_;
  std::string path_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> commands_ = 0;
  std::thread thread_;
};

using TpmDeviceTest = Tpm2Test;

// The attack: an ordinary user emulates a TPM behind a device node, although hardware_only is set
// and simulators are not allowed.
TEST_F(TpmDeviceTest, APseudoTerminalWithASoftwareTpmIsNoHardware) {
  const TpmTerminal terminal(tpm_.socket_path());
  Tpm2Provider provider({.tcti = "device:" + terminal.path(), .allow_simulator = false});

  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { CreateKey(provider); }, "/sys/class/tpm");

  EXPECT_FALSE(provider.Probe(Soon()).available());
  EXPECT_EQ(terminal.commands(), 0) << "commands were written to a device that is not a TPM";
}

TEST_F(TpmDeviceTest, ALinkIsJudgedByItsTarget) {
  const TpmTerminal terminal(tpm_.socket_path());
  const TemporaryDirectory directory;
  std::filesystem::create_symlink(terminal.path(), directory / "tpmrm0");

  ExpectError(
      ErrorCode::kHardwareUnavailable, [&] { OpenTpmDevice((directory / "tpmrm0").string()); },
      "/sys/class/tpm");
}

// Takes CAP_SYS_ADMIN from the calling thread, because with it TIOCEXCL has no effect.
void DropSysAdmin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
  data[0].effective &= ~(1U << CAP_SYS_ADMIN);
  ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
}

TEST_F(TpmDeviceTest, ADeviceThatAnotherProgramHoldsIsBusy) {
  TpmTerminal terminal(tpm_.socket_path());
  terminal.HoldExclusively();
  Tpm2Provider provider({.tcti = "device:" + terminal.path(), .allow_simulator = false});

  std::thread([&] {
    DropSysAdmin();
    ExpectError(
        ErrorCode::kDeviceBusy, [&] { CreateKey(provider); }, "/dev/tpmrm0, which is shared");
    EXPECT_EQ(provider.Probe(Soon()).error.value().code(), ErrorCode::kDeviceBusy);
  }).join();
}

// Runs `work` in a separate process in which /sys is another file system, and returns its result.
// nullopt if this process is not allowed to do that.
template <class Work>
std::optional<int> WithoutSysfs(Work work) {
  constexpr int kNotAllowed = 99;
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/sys", "tmpfs", 0, nullptr) != 0) {
      _exit(kNotAllowed);
    }
    _exit(work());
  }
  int status = 0;
  waitpid(child, &status, 0);
  const int result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result == kNotAllowed ? std::nullopt : std::optional(result);
}

// The result of `WithoutSysfs` when /dev/null is refused with a message that contains
// `part_of_message`.
int RefusesNull(const std::string& part_of_message) {
  try {
    OpenTpmDevice("/dev/null");
  } catch (const DeviceKeyError& error) {
    const bool right = error.code() == ErrorCode::kHardwareUnavailable &&
                       std::string(error.what()).find(part_of_message) != std::string::npos;
    if (!right) fprintf(stderr, "%s\n", error.what());
    return right ? 0 : 1;
  }
  return 2;
}

TEST_F(TpmDeviceTest, WithoutSysfsNoDeviceIsATpmAndTheErrorNamesTheCure) {
  const std::optional<int> result = WithoutSysfs([] { return RefusesNull("-v /sys:/sys:ro"); });
  if (!result.has_value()) GTEST_SKIP() << "this process may not mount";
  EXPECT_EQ(*result, 0);
}

// In a user namespace, any user can mount a directory over /sys.
TEST_F(TpmDeviceTest, AFakeSysfsIsNotTrusted) {
  const std::optional<int> result = WithoutSysfs([] {
    std::filesystem::create_directories("/sys/class/tpm");
    std::filesystem::create_directories("/sys/dev/char/1:3");  // /dev/null
    std::filesystem::create_symlink("/sys/class/tpm", "/sys/dev/char/1:3/subsystem");
    return RefusesNull("sysfs");
  });
  if (!result.has_value()) GTEST_SKIP() << "this process may not mount";
  EXPECT_EQ(*result, 0);
}

}  // namespace
}  // namespace device_key
