// A TPM on a Unix socket that answers what a test wants it to.
#ifndef DEVICE_KEY_TEST_PROVIDERS_TPM_SERVER_H_
#define DEVICE_KEY_TEST_PROVIDERS_TPM_SERVER_H_

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "crypto/bytes.h"
#include "platform/temporary_directory.h"
#include "platform/unique_fd.h"

namespace device_key {

// Serves any number of clients at once, one command at a time, on a thread of its own.
class TpmServer {
 public:
  // The response to one command: written as it is, nothing for an empty one (the client is hung up
  // on), and no word at all for nullopt; what it throws is as an empty one. Called on the server's
  // thread.
  using Answer = std::function<std::optional<Bytes>(ByteView command)>;

  explicit TpmServer(Answer answer);
  ~TpmServer();
  TpmServer(const TpmServer&) = delete;
  TpmServer& operator=(const TpmServer&) = delete;

  std::string socket_path() const { return directory_ / "tpm"; }
  std::string tcti() const { return "swtpm:path=" + socket_path(); }

 private:
  void Serve();
  std::optional<Bytes> AnswerOrHangUp(ByteView command);

  const TemporaryDirectory directory_;
  const Answer answer_;
  UniqueFd listener_;
  UniqueFd stop_;
  std::thread thread_;
};

// A client of swtpm's socket that passes on commands as they are. Thread-safe.
class TpmLine {
 public:
  explicit TpmLine(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  // Connects on the first call. Throws std::runtime_error when the TPM goes away.
  Bytes Exchange(ByteView command);

 private:
  const std::string socket_path_;
  std::mutex mutex_;
  UniqueFd fd_;
};

// One whole command or response from `fd`, by the size in its header; empty at its end.
Bytes ReadTpmMessage(int fd);

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PROVIDERS_TPM_SERVER_H_
