#include "providers/tpm2/descriptor_transport.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "crypto/bytes.h"
#include "platform/unique_fd.h"

namespace device_key {
namespace {

// TPM 2.0 Library Specification, Part 1, section 18: tag (2), size (4), code (4).
constexpr size_t kHeaderSize = 10;
// TPM2_MAX_RESPONSE_SIZE of the PC Client profile; a node's whole response fits one read.
constexpr size_t kMaxResponse = 4096;

// The TCTI interface (TCG TSS 2.0 TPM Command Transmission Interface, version 1) over one
// descriptor. SAPI writes a command through `transmit`; AwaitResponse collects the whole response;
// `receive` hands it over without ever waiting.
class DescriptorTransport : public TpmTransport {
 public:
  enum class Kind { kDevice, kSocket };

  DescriptorTransport(Kind kind, UniqueFd fd, std::string name)
      : kind_(kind), fd_(std::move(fd)), name_(std::move(name)) {
    context_.base.magic = 0x6465766b65795450;  // any value that no other TCTI uses
    context_.base.version = 1;
    context_.base.transmit = &Transmit;
    context_.base.receive = &Receive;
    context_.base.finalize = [](TSS2_TCTI_CONTEXT*) {};
    context_.base.cancel = [](TSS2_TCTI_CONTEXT*) -> TSS2_RC {
      return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    };
    context_.base.getPollHandles = [](TSS2_TCTI_CONTEXT*, TSS2_TCTI_POLL_HANDLE*,
                                      size_t*) -> TSS2_RC { return TSS2_TCTI_RC_NOT_IMPLEMENTED; };
    context_.base.setLocality = [](TSS2_TCTI_CONTEXT*, uint8_t) -> TSS2_RC {
      return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    };
    context_.owner = this;
  }

  TSS2_TCTI_CONTEXT* tcti() override {
    return reinterpret_cast<TSS2_TCTI_CONTEXT*>(&context_.base);
  }

  void AwaitResponse(const OperationLimits& limits) override {
    while (!complete()) {
      WaitReadable(limits);
      // Room for a whole response: older kernels throw away what one read leaves behind.
      std::array<uint8_t, kMaxResponse> chunk;
      const ssize_t count = read(fd_.get(), chunk.data(), chunk.size());
      if (count > 0) {
        response_.insert(response_.end(), chunk.data(), chunk.data() + count);
        if (response_.size() >= kHeaderSize) CheckSize();
      } else if (count == 0) {
        ThrowLost("closed the connection");
      } else if (errno != EINTR && errno != EAGAIN) {
        ThrowLost(strerror(errno));
      }
    }
  }

 private:
  // What SAPI holds: the interface first, then the way back to us.
  struct Context {
    TSS2_TCTI_CONTEXT_COMMON_V1 base{};
    DescriptorTransport* owner = nullptr;
  };

  static DescriptorTransport& Owner(TSS2_TCTI_CONTEXT* context) {
    return *reinterpret_cast<Context*>(context)->owner;
  }

  static TSS2_RC Transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command) {
    DescriptorTransport& self = Owner(context);
    self.response_.clear();
    // A device node takes a command as one write; a socket's buffer always has room for one. The
    // kernel refuses with EBUSY what would overtake a command in progress.
    while (size > 0) {
      const ssize_t count = self.kind_ == Kind::kSocket
                                ? send(self.fd_.get(), command, size, MSG_NOSIGNAL)
                                : write(self.fd_.get(), command, size);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return TSS2_TCTI_RC_IO_ERROR;
      command += count;
      size -= static_cast<size_t>(count);
    }
    return TSS2_RC_SUCCESS;
  }

  static TSS2_RC Receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t) {
    DescriptorTransport& self = Owner(context);
    if (!self.complete()) return TSS2_TCTI_RC_TRY_AGAIN;
    const size_t capacity = std::exchange(*size, self.response_.size());
    if (response == nullptr) return TSS2_RC_SUCCESS;
    if (capacity < self.response_.size()) return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    std::copy(self.response_.begin(), self.response_.end(), response);
    self.response_.clear();
    return TSS2_RC_SUCCESS;
  }

  bool complete() const {
    return response_.size() >= kHeaderSize && response_.size() >= announced();
  }

  // The response's size by its own header.
  size_t announced() const {
    return static_cast<size_t>(response_[2]) << 24 | static_cast<size_t>(response_[3]) << 16 |
           static_cast<size_t>(response_[4]) << 8 | response_[5];
  }

  // What does not talk like a TPM is not waited for, and bytes behind a response are not taken for
  // the next one.
  void CheckSize() const {
    if (announced() < kHeaderSize || announced() > kMaxResponse || response_.size() > announced()) {
      ThrowLost("it does not answer as a TPM 2.0 does");
    }
  }

  void WaitReadable(const OperationLimits& limits) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        limits.deadline - std::chrono::steady_clock::now());
    const int timeout =
        static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 1 << 30));
    std::array<pollfd, 2> waits{
        pollfd{fd_.get(), POLLIN, 0},
        pollfd{limits.interrupt != nullptr ? limits.interrupt->wait_fd() : -1, POLLIN, 0}};
    const int ready = poll(waits.data(), waits.size(), timeout);
    if (ready < 0 && errno != EINTR) ThrowLost(strerror(errno));
    if (ready > 0 && waits[1].revents != 0) {
      throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed during the operation");
    }
    if (ready == 0 && std::chrono::steady_clock::now() >= limits.deadline) {
      throw DeviceKeyError(ErrorCode::kDeviceTimeout,
                           "the TPM at " + name_ +
                               " did not answer in time; try again, or open the store with a "
                               "longer timeoutMs");
    }
  }

  [[noreturn]] void ThrowLost(const std::string& how) const {
    throw ConnectionLost(ErrorCode::kHardwareUnavailable, "lost the TPM at " + name_ + ": " + how);
  }

  const Kind kind_;
  UniqueFd fd_;
  const std::string name_;
  Context context_;
  Bytes response_;
};

[[noreturn]] void ThrowOpenDevice(const std::string& path, int error) {
  const std::string reason = path + ": " + strerror(error);
  switch (error) {
    case EACCES:
    case EPERM:
      throw DeviceKeyError(ErrorCode::kPermissionDenied,
                           "no permission to use the TPM at " + reason +
                               ". Add the user to the group that owns the node, on most systems "
                               "`sudo usermod -aG tss $USER`, then log out and in again");
    case EBUSY:
      throw DeviceKeyError(ErrorCode::kDeviceBusy,
                           "another program holds the TPM at " + reason +
                               ". Use the resource manager's node /dev/tpmrm0, which is shared, "
                               "or try again");
    case EMFILE:
    case ENFILE:
      throw DeviceKeyError(ErrorCode::kPlatformError, "could not open " + reason);
    default:
      throw DeviceKeyError(
          ErrorCode::kHardwareUnavailable,
          "no TPM 2.0 at " + reason +
              ". Enable the TPM (also called fTPM or PTT) in the firmware's set-up; a machine "
              "that has /dev/tpm0 but no /dev/tpmrm0 has a TPM 1.2, which is too old; a container "
              "needs the node passed in (`--device /dev/tpmrm0`)");
  }
}

[[noreturn]] void ThrowConnectSwtpm(const std::string& where, int error) {
  const std::string reason = where + ": " + strerror(error);
  if (error == EACCES || error == EPERM) {
    throw DeviceKeyError(ErrorCode::kPermissionDenied,
                         "no permission to use the TPM simulator at " + reason +
                             ". Give the user read and write access to the socket");
  }
  if (error == EAGAIN) {
    throw DeviceKeyError(ErrorCode::kDeviceBusy,
                         "too many clients wait for the TPM simulator at " + reason);
  }
  throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                       "no TPM simulator answers at " + reason + ". Start swtpm there");
}

UniqueFd ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "tcti: a Unix socket's path has at most 107 bytes");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ThrowConnectSwtpm(path, errno);
  }
  return fd;
}

UniqueFd ConnectTcp(const std::string& host, const std::string& port) {
  const std::string where = host + ":" + port;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int rc = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); rc != 0) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "no TPM simulator at " + where + ": " + gai_strerror(rc));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  int error = ENOENT;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    UniqueFd fd(socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd.valid() && connect(fd.get(), address->ai_addr, address->ai_addrlen) == 0) {
      fcntl(fd.get(), F_SETFL, O_NONBLOCK);
      return fd;
    }
    error = errno;
  }
  ThrowConnectSwtpm(where, error);
}

// The value of `key` in "key=value,key=value", or `fallback`.
std::string ConfValue(const std::string& conf, const std::string& key,
                      const std::string& fallback) {
  size_t start = 0;
  while (start <= conf.size()) {
    const size_t end = std::min(conf.find(',', start), conf.size());
    const std::string item = conf.substr(start, end - start);
    if (item.starts_with(key + "=")) return item.substr(key.size() + 1);
    start = end + 1;
  }
  return fallback;
}

}  // namespace

std::unique_ptr<TpmTransport> OpenDeviceTransport(const std::string& path) {
  // O_NONBLOCK makes the kernel's write() return before the TPM has answered (Linux 5.0 and
  // later); before that, a command blocks in write() and the limits do not hold.
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) ThrowOpenDevice(path, errno);
  // A mistyped name must not make us write TPM commands into somebody's file.
  struct stat status {};
  if (fstat(fd.get(), &status) != 0 || !S_ISCHR(status.st_mode)) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "no TPM 2.0 at " + path +
                             ": not a character device. Name the kernel's node, usually "
                             "device:/dev/tpmrm0");
  }
  return std::make_unique<DescriptorTransport>(DescriptorTransport::Kind::kDevice, std::move(fd),
                                               path);
}

std::unique_ptr<TpmTransport> OpenSwtpmTransport(const std::string& conf) {
  const std::string path = ConfValue(conf, "path", "");
  const std::string host = ConfValue(conf, "host", "127.0.0.1");
  const std::string port = ConfValue(conf, "port", "2321");
  UniqueFd fd = path.empty() ? ConnectTcp(host, port) : ConnectUnix(path);
  return std::make_unique<DescriptorTransport>(DescriptorTransport::Kind::kSocket, std::move(fd),
                                               path.empty() ? host + ":" + port : path);
}

}  // namespace device_key
