// A proxy between a provider and a real TPM (swtpm). It makes selected commands fail.
//
//   TpmProxy proxy(tpm.socket_path());
//   const auto provider = ProviderAt(proxy.tcti());
//   proxy.Inject(faults::DropAnswer(), {.command = TPM2_CC_Load, .times = 3});
//   ... the provider's next three TPM2_Load are executed, and their answers lost ...
//   proxy.ClearFaults();
#ifndef DEVICE_KEY_TEST_SUPPORT_TPM_PROXY_H_
#define DEVICE_KEY_TEST_SUPPORT_TPM_PROXY_H_

#include <tss2/tss2_tpm2_types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/tpm_server.h"

namespace device_key {

// The command code or the response code in a message's header.
inline uint32_t TpmCodeOf(ByteView message) {
  return static_cast<uint32_t>(message[6]) << 24 | static_cast<uint32_t>(message[7]) << 16 |
         static_cast<uint32_t>(message[8]) << 8 | message[9];
}

// Handles one command. `forward` makes the TPM execute it and returns the response. The result goes
// to the client: a response, no response (nullopt), or the end of the connection (an empty
// response). Called on the proxy's thread.
using TpmFault =
    std::function<std::optional<Bytes>(ByteView command, const std::function<Bytes()>& forward)>;

namespace faults {

// A response that has only a response code, as all error responses do.
inline Bytes CodeAlone(uint32_t code) {
  return {0x80,
          0x01,
          0,
          0,
          0,
          10,
          static_cast<uint8_t>(code >> 24),
          static_cast<uint8_t>(code >> 16),
          static_cast<uint8_t>(code >> 8),
          static_cast<uint8_t>(code)};
}

// The command does not reach the TPM, and there is no answer.
inline TpmFault DropCommand() {
  return [](ByteView, const auto&) { return std::nullopt; };
}
// The TPM executes the command, and its response is lost.
inline TpmFault DropAnswer() {
  return [](ByteView, const auto& forward) {
    forward();
    return std::nullopt;
  };
}
// The TPM executes the command, and the connection ends before the response.
inline TpmFault CloseConnection() {
  return [](ByteView, const auto& forward) {
    forward();
    return Bytes{};
  };
}
// The response is delayed. The proxy serves no other client meanwhile.
inline TpmFault Delay(std::chrono::milliseconds delay) {
  return [delay](ByteView, const auto& forward) {
    std::this_thread::sleep_for(delay);
    return forward();
  };
}
// The command does not reach the TPM; the response has `code`.
inline TpmFault Refuse(uint32_t code) {
  return [code](ByteView, const auto&) { return CodeAlone(code); };
}
// The TPM executes the command, and the response has `code`.
inline TpmFault Misreport(uint32_t code) {
  return [code](ByteView, const auto& forward) {
    forward();
    return CodeAlone(code);
  };
}
// `change` may modify the response in any way. Error responses are not modified.
inline TpmFault Change(std::function<void(Bytes& response)> change) {
  return [change = std::move(change)](ByteView, const auto& forward) {
    Bytes response = forward();
    if (TpmCodeOf(response) == TPM2_RC_SUCCESS) change(response);
    return response;
  };
}
// The last bytes are missing, but are included in the header's size.
inline TpmFault Truncate(size_t missing) {
  return Change([missing](Bytes& response) {
    response.resize(std::max<size_t>(1, response.size() - std::min(missing, response.size())));
  });
}
// Additional bytes follow that the header's size does not include.
inline TpmFault Append(size_t extra) {
  return Change([extra](Bytes& response) { response.resize(response.size() + extra, 0xA5); });
}
// The header has another size than the response.
inline TpmFault Announce(uint32_t size) {
  return Change([size](Bytes& response) {
    for (int i = 0; i < 4; ++i) response[2 + i] = static_cast<uint8_t>(size >> (24 - 8 * i));
  });
}
// Flips the bits of `mask` in the byte at `offset`, if there is one.
inline TpmFault FlipBits(size_t offset, uint8_t mask) {
  return Change([offset, mask](Bytes& response) {
    if (offset < response.size()) response[offset] ^= mask;
  });
}
// Changes the handle after the header, in responses of commands that load an object.
inline TpmFault ChangeHandle() { return FlipBits(13, 0x07); }
// Changes one byte. Its position depends on the seed and on the number of calls.
inline TpmFault ChangeRandomByte(uint32_t seed) {
  return Change([random = std::make_shared<std::mt19937>(seed)](Bytes& response) {
    response[(*random)() % response.size()] ^= static_cast<uint8_t>(1 + (*random)() % 255);
  });
}

}  // namespace faults

// Thread-safe. Before another client (such as SoftwareTpm::Tool) uses the TPM directly, destroy or
// disconnect the provider under test: call Disconnect for that.
class TpmProxy {
 public:
  // Which commands a fault applies to.
  struct Target {
    std::optional<TPM2_CC> command;               // nullopt: any
    int skip = 0;                                 // first lets this number of commands pass
    int times = std::numeric_limits<int>::max();  // then applies to this number of commands
  };

  explicit TpmProxy(std::string tpm_socket_path) : line_(std::move(tpm_socket_path)) {}

  std::string tcti() const { return server_.tcti(); }
  std::string socket_path() const { return server_.socket_path(); }

  // If several faults apply to a command, the one that was injected first is used.
  void Inject(TpmFault fault, Target target) {
    const std::lock_guard lock(mutex_);
    injected_.push_back({std::move(fault), target});
  }

  // Removes all faults.
  void ClearFaults() {
    const std::lock_guard lock(mutex_);
    injected_.clear();
  }

  // The number of commands that faults have been applied to, since the proxy was made.
  int hits() const {
    const std::lock_guard lock(mutex_);
    return hits_;
  }

  // The number of commands with this code that clients have sent.
  std::vector<Bytes> Commands(TPM2_CC code) const {
    const std::lock_guard lock(mutex_);
    std::vector<Bytes> found;
    for (const Bytes& command : commands_) {
      if (TpmCodeOf(command) == code) found.push_back(command);
    }
    return found;
  }

  // Sends a command past all faults, like another client.
  Bytes Exchange(ByteView command) { return line_.Exchange(command); }

  // Sends a command without authorizations past all faults, and returns the response without its
  // header. Throws std::runtime_error when the TPM refuses.
  Bytes Run(TPM2_CC code, ByteView parameters) {
    Bytes command{0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0};
    command.insert(command.end(), parameters.begin(), parameters.end());
    const uint32_t words[] = {static_cast<uint32_t>(command.size()), code};
    for (int i = 0; i < 8; ++i) {
      command[2 + i] = static_cast<uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
    }
    const Bytes response = Exchange(command);
    if (TpmCodeOf(response) != TPM2_RC_SUCCESS) throw std::runtime_error("the TPM refused");
    return Bytes(response.begin() + 10, response.end());
  }

  // Lets other clients connect to the TPM, which serves one connection at a time.
  void Disconnect() { line_.Disconnect(); }

 private:
  struct Injected {
    TpmFault fault;
    Target target;
  };

  std::optional<Bytes> Answer(ByteView command) {
    const TpmFault fault = NextFault(command);
    const auto forward = [&] { return line_.Exchange(command); };
    return fault ? fault(command, forward) : forward();
  }

  TpmFault NextFault(ByteView command) {
    const std::lock_guard lock(mutex_);
    commands_.emplace_back(command.begin(), command.end());
    for (Injected& injected : injected_) {
      Target& target = injected.target;
      if (target.command.has_value() && *target.command != TpmCodeOf(command)) continue;
      if (target.skip > 0) {
        --target.skip;
      } else if (target.times > 0) {
        --target.times;
        ++hits_;
        return injected.fault;
      }
    }
    return nullptr;
  }

  mutable std::mutex mutex_;
  std::vector<Injected> injected_;
  std::vector<Bytes> commands_;
  int hits_ = 0;
  TpmLine line_;
  const TpmServer server_{[this](ByteView command) { return Answer(command); }};
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_SUPPORT_TPM_PROXY_H_
