#include "providers/tpm2/swtpm_socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

#include "platform/error.h"

namespace device_key {
namespace {

[[noreturn]] void ThrowConnectSwtpm(const std::string& where, int error) {
  const std::string reason = where + ": " + std::generic_category().message(error);
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

UniqueFd ConnectToSwtpm(const std::string& conf) {
  const std::string path = ConfValue(conf, "path", "");
  if (!path.empty()) return ConnectUnix(path);
  return ConnectTcp(ConfValue(conf, "host", "127.0.0.1"), ConfValue(conf, "port", "2321"));
}

}  // namespace device_key
