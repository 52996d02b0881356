// A real software TPM 2.0 (swtpm) for tests, with its own Unix socket.
#ifndef DEVICE_KEY_TEST_SUPPORT_SWTPM_H_
#define DEVICE_KEY_TEST_SUPPORT_SWTPM_H_

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace device_key::testing {

// The constructor starts swtpm. swtpm ends with the object and with the process: the kernel kills
// it when the thread that started it ends, so construct it on the test's own thread. Failures
// throw std::runtime_error with swtpm's log.
//
// swtpm serves one connection at a time: close the TCTI under test before `Capability`.
class SoftwareTpm {
 public:
  SoftwareTpm() : directory_(MakeDirectory()) {
    try {
      SwapState();
    } catch (...) {
      Remove();
      throw;
    }
  }
  ~SoftwareTpm() { Remove(); }
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;

  // The TCTI string for this TPM.
  std::string tcti() const { return "swtpm:path=" + socket_path(); }
  std::string socket_path() const { return directory_ / "tpm"; }

  // Powers the TPM on: it has the state of the last run, after TPM2_Startup(CLEAR). Does nothing if
  // it is on.
  void Start() {
    if (pid_ > 0) return;
    Spawn();
    AwaitSocket();
  }

  // Power loss: returns when the TPM is off. There is no orderly shutdown.
  void Kill() {
    if (pid_ <= 0) return;
    Signal(SIGKILL);
    Reap();
  }

  // Power loss and power on: keys in NV stay; loaded objects and sessions are gone.
  void Restart() {
    Kill();
    Start();
  }

  // The TPM stops answering, but keeps its sockets open, until `Resume`.
  void Pause() { Signal(SIGSTOP); }
  void Resume() { Signal(SIGCONT); }

  // Replaces it by a new TPM at the same socket.
  void SwapState() {
    Kill();
    state_ = directory_ / ("state" + std::to_string(++states_));
    std::filesystem::create_directory(state_);
    Start();
  }

  // The output of `tpm2_getcap <name>`, for example "handles-transient" (empty when no object is
  // loaded).
  std::string Capability(const std::string& name) const { return Tool("tpm2_getcap " + name); }

  // The standard output of a tpm2-tools command, run with this TPM.
  std::string Tool(const std::string& command_line) const {
    const std::string shell_line = "export TPM2TOOLS_TCTI='" + tcti() + "'; " + command_line;
    FILE* pipe = ::popen(shell_line.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("popen failed: " + shell_line);
    std::string output;
    char buffer[4096];
    while (size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
    if (::pclose(pipe) != 0) throw std::runtime_error(shell_line + " failed: " + output);
    return output;
  }

 private:
  static std::filesystem::path MakeDirectory() {
    // Always under /tmp, because a socket's path must fit into 107 bytes and TMPDIR may be long.
    char path[] = "/tmp/dk-swtpm-XXXXXX";
    if (::mkdtemp(path) == nullptr) throw std::runtime_error("mkdtemp failed");
    return path;
  }

  std::string log_path() const { return directory_ / "log"; }

  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(log_path()).rdbuf();
    return text.str();
  }

  void Spawn() {
    std::filesystem::remove(socket_path());
    std::vector<std::string> arguments = {"swtpm",
                                          "socket",
                                          "--tpm2",
                                          "--server",
                                          "type=unixio,path=" + socket_path(),
                                          "--ctrl",
                                          "type=unixio,path=" + socket_path() + ".ctrl",
                                          "--tpmstate",
                                          "dir=" + state_.string(),
                                          "--flags",
                                          "not-need-init,startup-clear",
                                          "--log",
                                          "file=" + log_path() + ",level=1"};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ > 0) return;
    // In the child. The parent may have died before prctl took effect.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }

  void AwaitSocket() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!Accepts()) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        throw std::runtime_error("swtpm ended at once (is it installed?): " + Log());
      }
      if (std::chrono::steady_clock::now() > deadline) {
        Kill();
        throw std::runtime_error("swtpm does not accept connections: " + Log());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  bool Accepts() const {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool accepts =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return accepts;
  }

  void Signal(int signal) {
    if (pid_ > 0) ::kill(pid_, signal);  // kill(-1) would reach every process
  }

  void Reap() {
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  void Remove() {
    Kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::filesystem::path directory_;
  std::filesystem::path state_;
  int states_ = 0;
  pid_t pid_ = -1;
};

}  // namespace device_key::testing

#endif  // DEVICE_KEY_TEST_SUPPORT_SWTPM_H_
