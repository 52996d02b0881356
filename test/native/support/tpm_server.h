// A TPM at a Unix socket that sends the responses that a test chooses.
#ifndef DEVICE_KEY_TEST_SUPPORT_TPM_SERVER_H_
#define DEVICE_KEY_TEST_SUPPORT_TPM_SERVER_H_

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "crypto/bytes.h"
#include "platform/temporary_directory.h"
#include "platform/unique_fd.h"

namespace device_key {

inline sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

inline bool ReadExactly(int fd, uint8_t* buffer, size_t size) {
  while (size > 0) {
    const ssize_t count = read(fd, buffer, size);
    if (count <= 0) return false;
    buffer += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

// Reads one whole command or response from `fd`, using the size in its header; empty at the end of
// the stream.
inline Bytes ReadTpmMessage(int fd) {
  std::array<uint8_t, 10> header;
  if (!ReadExactly(fd, header.data(), header.size())) return {};
  const size_t size =
      static_cast<size_t>(header[2]) << 24 | header[3] << 16 | header[4] << 8 | header[5];
  if (size < header.size() || size > 65536) return {};
  Bytes message(size);
  std::copy(header.begin(), header.end(), message.begin());
  if (!ReadExactly(fd, message.data() + header.size(), size - header.size())) return {};
  return message;
}

// Serves any number of clients, one command at a time, on its own thread.
class TpmServer {
 public:
  // Returns the response to one command, which is sent unchanged. An empty response or an exception
  // closes the connection; nullopt sends no response. Called on the server's thread.
  using Answer = std::function<std::optional<Bytes>(ByteView command)>;

  explicit TpmServer(Answer answer)
      : answer_(std::move(answer)),
        listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        stop_(eventfd(0, EFD_CLOEXEC)) {
    const sockaddr_un address = UnixAddress(socket_path());
    if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_.get(), 16) != 0) {
      throw std::runtime_error("cannot listen on " + socket_path());
    }
    thread_ = std::thread([this] { Serve(); });
  }
  ~TpmServer() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  TpmServer(const TpmServer&) = delete;
  TpmServer& operator=(const TpmServer&) = delete;

  std::string socket_path() const { return directory_ / "tpm"; }
  std::string tcti() const { return "swtpm:path=" + socket_path(); }

 private:
  void Serve() {
    std::vector<UniqueFd> clients;
    while (true) {
      std::vector<pollfd> waits{{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
      for (const UniqueFd& client : clients) waits.push_back({client.get(), POLLIN, 0});
      if (poll(waits.data(), waits.size(), -1) < 0) continue;
      if (waits[0].revents != 0) return;
      std::vector<UniqueFd> still_there;
      for (size_t i = 0; i < clients.size(); ++i) {
        const bool asks = waits[i + 2].revents != 0;
        if (!asks || ServeCommand(clients[i].get())) still_there.push_back(std::move(clients[i]));
      }
      clients = std::move(still_there);
      if (waits[1].revents != 0) {
        UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (client.valid()) clients.push_back(std::move(client));
      }
    }
  }

  // False when the connection has ended.
  bool ServeCommand(int client) {
    const Bytes command = ReadTpmMessage(client);
    const std::optional<Bytes> response = command.empty() ? Bytes{} : AnswerOrClose(command);
    if (!response.has_value()) return true;
    if (response->empty()) return false;
    send(client, response->data(), response->size(), MSG_NOSIGNAL);
    return true;
  }

  std::optional<Bytes> AnswerOrClose(ByteView command) {
    try {
      return answer_(command);
    } catch (const std::exception&) {
      return Bytes{};
    }
  }

  const TemporaryDirectory directory_;
  const Answer answer_;
  UniqueFd listener_;
  UniqueFd stop_;
  std::thread thread_;
};

// A client of swtpm's socket that forwards commands unchanged. Thread-safe.
class TpmLine {
 public:
  explicit TpmLine(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  // Connects with the first call. Throws std::runtime_error when the TPM closes the connection.
  Bytes Exchange(ByteView command) {
    const std::lock_guard lock(mutex_);
    if (!fd_.valid()) {
      fd_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_un address = UnixAddress(socket_path_);
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

  void Disconnect() {
    const std::lock_guard lock(mutex_);
    fd_ = UniqueFd();
  }

 private:
  const std::string socket_path_;
  std::mutex mutex_;
  UniqueFd fd_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_SUPPORT_TPM_SERVER_H_
