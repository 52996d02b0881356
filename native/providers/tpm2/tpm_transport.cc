#include "providers/tpm2/tpm_transport.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "providers/tpm2/swtpm_socket.h"
#include "providers/tpm2/tpm_device.h"

namespace device_key {
namespace {

// Header of commands and responses: tag (2 bytes), size (4), code (4) (TPM 2.0 Library
// Specification, Part 1, section 18).
constexpr size_t kHeaderSize = 10;
// TPM2_MAX_RESPONSE_SIZE of the PC Client profile. One read returns a device node's whole response.
constexpr size_t kMaxResponse = 4096;

}  // namespace

TpmTransport::TpmTransport(const TctiSpec& spec)
    : name_(spec.conf), is_socket_(spec.is_simulator()) {
  if (is_socket_) {
    fd_ = ConnectToSwtpm(spec.conf);
  } else {
    TpmDevice device = OpenTpmDevice(spec.conf);
    fd_ = std::move(device.fd);
    has_resource_manager_ = device.has_resource_manager;
    is_vtpm_proxy_ = device.is_vtpm_proxy;
  }
  context_.base.magic = 0x6465766b65795450;  // any value that no other TCTI uses
  context_.base.version = 1;
  context_.base.transmit = &Transmit;
  context_.base.receive = &Receive;
  context_.base.finalize = [](TSS2_TCTI_CONTEXT*) {};
  context_.base.cancel = [](TSS2_TCTI_CONTEXT*) -> TSS2_RC { return TSS2_TCTI_RC_NOT_IMPLEMENTED; };
  context_.base.getPollHandles = [](TSS2_TCTI_CONTEXT*, TSS2_TCTI_POLL_HANDLE*,
                                    size_t*) -> TSS2_RC { return TSS2_TCTI_RC_NOT_IMPLEMENTED; };
  context_.base.setLocality = [](TSS2_TCTI_CONTEXT*, uint8_t) -> TSS2_RC {
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
  };
  context_.owner = this;
}

void TpmTransport::AwaitResponse(const OperationLimits& limits) {
  while (!complete()) {
    WaitReadable(limits);
    // The buffer holds a whole response: older kernels discard the bytes that one read leaves.
    std::array<uint8_t, kMaxResponse> chunk;
    const ssize_t count = read(fd_.get(), chunk.data(), chunk.size());
    if (count > 0) {
      response_.insert(response_.end(), chunk.data(), chunk.data() + count);
      if (response_.size() >= kHeaderSize) CheckSize();
    } else if (count == 0) {
      ThrowLost("it closed the connection");
    } else if (errno != EINTR && errno != EAGAIN) {
      ThrowLost(std::generic_category().message(errno));
    }
  }
}

TSS2_RC TpmTransport::Transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command) {
  TpmTransport& self = *reinterpret_cast<Context*>(context)->owner;
  self.response_.clear();
  // A device node needs the whole command in one write; a socket's buffer always has space for one.
  // The kernel returns EBUSY while another command is in progress.
  while (size > 0) {
    const ssize_t count = self.is_socket_ ? send(self.fd_.get(), command, size, MSG_NOSIGNAL)
                                          : write(self.fd_.get(), command, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return TSS2_TCTI_RC_IO_ERROR;
    command += count;
    size -= static_cast<size_t>(count);
  }
  return TSS2_RC_SUCCESS;
}

TSS2_RC TpmTransport::Receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response,
                              int32_t) {
  TpmTransport& self = *reinterpret_cast<Context*>(context)->owner;
  if (!self.complete()) return TSS2_TCTI_RC_TRY_AGAIN;
  const size_t capacity = std::exchange(*size, self.response_.size());
  if (response == nullptr) return TSS2_RC_SUCCESS;
  if (capacity < self.response_.size()) return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
  std::copy(self.response_.begin(), self.response_.end(), response);
  self.response_.clear();
  return TSS2_RC_SUCCESS;
}

bool TpmTransport::complete() const {
  return response_.size() >= kHeaderSize && response_.size() >= announced();
}

// The size of the response, from its header.
size_t TpmTransport::announced() const {
  return static_cast<size_t>(response_[2]) << 24 | static_cast<size_t>(response_[3]) << 16 |
         static_cast<size_t>(response_[4]) << 8 | response_[5];
}

// Rejects malformed sizes and trailing bytes.
void TpmTransport::CheckSize() const {
  if (announced() < kHeaderSize || announced() > kMaxResponse || response_.size() > announced()) {
    ThrowLost("it does not answer as a TPM 2.0 does");
  }
}

void TpmTransport::WaitReadable(const OperationLimits& limits) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(limits.deadline -
                                                                 std::chrono::steady_clock::now());
  const int timeout =
      static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 1 << 30));
  std::array<pollfd, 2> waits{
      pollfd{fd_.get(), POLLIN, 0},
      pollfd{limits.interrupt != nullptr ? limits.interrupt->wait_fd() : -1, POLLIN, 0}};
  const int ready = poll(waits.data(), waits.size(), timeout);
  if (ready < 0 && errno != EINTR) ThrowLost(std::generic_category().message(errno));
  if (ready > 0 && waits[1].revents != 0) {
    throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed during the operation");
  }
  if (ready == 0 && std::chrono::steady_clock::now() >= limits.deadline) {
    throw DeviceKeyError(
        ErrorCode::kDeviceTimeout,
        "the TPM at " + name_ + " did not answer in time; try again, or raise timeoutMs");
  }
}

void TpmTransport::ThrowLost(const std::string& how) const {
  throw ConnectionLost(ErrorCode::kHardwareUnavailable, "lost the TPM at " + name_ + ": " + how);
}

}  // namespace device_key
