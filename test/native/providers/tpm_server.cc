#include "providers/tpm_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>
#include <vector>

namespace device_key {
namespace {

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

UniqueFd NewSocket() { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

bool ReadExactly(int fd, uint8_t* buffer, size_t size) {
  while (size > 0) {
    const ssize_t count = read(fd, buffer, size);
    if (count <= 0) return false;
    buffer += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

Bytes ReadTpmMessage(int fd) {
  constexpr size_t kHeaderSize = 10;
  Bytes message(kHeaderSize);
  if (!ReadExactly(fd, message.data(), kHeaderSize)) return {};
  const size_t size =
      static_cast<size_t>(message[2]) << 24 | message[3] << 16 | message[4] << 8 | message[5];
  if (size < kHeaderSize || size > 65536) return {};
  message.resize(size);
  if (!ReadExactly(fd, message.data() + kHeaderSize, size - kHeaderSize)) return {};
  return message;
}

Bytes TpmLine::Exchange(ByteView command) {
  const std::lock_guard lock(mutex_);
  if (!fd_.valid()) {
    fd_ = NewSocket();
    const sockaddr_un address = AddressOf(socket_path_);
    if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("no TPM at " + socket_path_);
    }
  }
  Bytes response;
  if (send(fd_.get(), command.data(), command.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(command.size())) {
    response = ReadTpmMessage(fd_.get());
  }
  if (response.empty()) {
    fd_ = UniqueFd();
    throw std::runtime_error("the TPM went away");
  }
  return response;
}

TpmServer::TpmServer(Answer answer)
    : answer_(std::move(answer)), listener_(NewSocket()), stop_(eventfd(0, EFD_CLOEXEC)) {
  const sockaddr_un address = AddressOf(socket_path());
  if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_.get(), 16) != 0) {
    throw std::runtime_error("cannot listen on " + socket_path());
  }
  thread_ = std::thread([this] { Serve(); });
}

TpmServer::~TpmServer() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::optional<Bytes> TpmServer::AnswerOrHangUp(ByteView command) {
  try {
    return answer_(command);
  } catch (const std::exception&) {
    return Bytes{};
  }
}

void TpmServer::Serve() {
  std::vector<UniqueFd> clients;
  while (true) {
    std::vector<pollfd> waits{{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const UniqueFd& client : clients) waits.push_back({client.get(), POLLIN, 0});
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents != 0) return;
    std::vector<UniqueFd> still_there;
    for (size_t i = 0; i < clients.size(); ++i) {
      bool stays = true;
      if (waits[i + 2].revents != 0) {
        const Bytes command = ReadTpmMessage(clients[i].get());
        const std::optional<Bytes> response = command.empty() ? Bytes{} : AnswerOrHangUp(command);
        stays = !response.has_value() || !response->empty();
        if (response.has_value() && !response->empty()) {
          send(clients[i].get(), response->data(), response->size(), MSG_NOSIGNAL);
        }
      }
      if (stays) still_there.push_back(std::move(clients[i]));
    }
    clients = std::move(still_there);
    if (waits[1].revents != 0) {
      UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client.valid()) clients.push_back(std::move(client));
    }
  }
}

}  // namespace device_key
