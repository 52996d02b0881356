// A proxy between a provider and a real TPM (swtpm), which makes chosen commands fail.
//
//   TpmProxy proxy(tpm.socket_path());
//   const auto provider = ProviderAt(proxy.tcti());
//   proxy.Inject(faults::DropAnswer(), {.command = TPM2_CC_Load, .times = 3});
//   ... the provider's next three TPM2_Load are executed, and their answers lost ...
//   proxy.Heal();
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

// What becomes of one command. `forward` has the TPM execute it and returns the response. The
// result is what the client gets: a response, nothing at all (nullopt), or the end of the
// connection (an empty one). Called on the proxy's thread.
using TpmFault =
    std::function<std::optional<Bytes>(ByteView command, const std::function<Bytes()>& forward)>;

namespace faults {

// A response that consists of a code alone, as all refusals do.
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
// The TPM executes the command, and its answer is lost.
inline TpmFault DropAnswer() {
  return [](ByteView, const auto& forward) {
    forward();
    return std::nullopt;
  };
}
// The TPM executes the command, and the connection ends before its answer.
inline TpmFault HangUp() {
  return [](ByteView, const auto& forward) {
    forward();
    return Bytes{};
  };
}
// The answer comes late. The proxy serves nobody meanwhile.
inline TpmFault Delay(std::chrono::milliseconds delay) {
  return [delay](ByteView, const auto& forward) {
    std::this_thread::sleep_for(delay);
    return forward();
  };
}
// The command does not reach the TPM, and is refused with `code`.
inline TpmFault Refuse(uint32_t code) {
  return [code](ByteView, const auto&) { return CodeAlone(code); };
}
// The TPM executes the command, and the answer says `code`.
inline TpmFault Misreport(uint32_t code) {
  return [code](ByteView, const auto& forward) {
    forward();
    return CodeAlone(code);
  };
}
// `change` may do anything to the answer. Does not touch refusals.
inline TpmFault Change(std::function<void(Bytes& response)> change) {
  return [change = std::move(change)](ByteView, const auto& forward) {
    Bytes response = forward();
    if (TpmCodeOf(response) == TPM2_RC_SUCCESS) change(response);
    return response;
  };
}
// The last bytes are missing, although the header announces them.
inline TpmFault Truncate(size_t missing) {
  return Change([missing](Bytes& response) {
    response.resize(std::max<size_t>(1, response.size() - std::min(missing, response.size())));
  });
}
// Bytes follow that the header does not announce.
inline TpmFault Append(size_t extra) {
  return Change([extra](Bytes& response) { response.resize(response.size() + extra, 0xA5); });
}
// The header announces another size than the answer has.
inline TpmFault Announce(uint32_t size) {
  return Change([size](Bytes& response) {
    for (int i = 0; i < 4; ++i) response[2 + i] = static_cast<uint8_t>(size >> (24 - 8 * i));
  });
}
// The bits of `mask` are flipped in the byte at `offset`, if there is one.
inline TpmFault FlipBits(size_t offset, uint8_t mask) {
  return Change([offset, mask](Bytes& response) {
    if (offset < response.size()) response[offset] ^= mask;
  });
}
// The handle that follows the header, in answers of commands that load an object, is another one.
inline TpmFault ChangeHandle() { return FlipBits(13, 0x07); }
// One byte is another, at a place that follows from the seed and from how often this was called.
inline TpmFault ChangeRandomByte(uint32_t seed) {
  return Change([random = std::make_shared<std::mt19937>(seed)](Bytes& response) {
    response[(*random)() % response.size()] ^= static_cast<uint8_t>(1 + (*random)() % 255);
  });
}

}  // namespace faults

// Thread-safe. The provider under test must be gone, or disconnected, before another client (such
// as SoftwareTpm::Tool) talks to the TPM directly: call Disconnect for that.
class TpmProxy {
 public:
  // Which commands a fault hits.
  struct Target {
    std::optional<TPM2_CC> command;               // nullopt: any
    int skip = 0;                                 // lets so many pass first
    int times = std::numeric_limits<int>::max();  // then hits so many
  };

  explicit TpmProxy(std::string tpm_socket_path) : line_(std::move(tpm_socket_path)) {}

  std::string tcti() const { return server_.tcti(); }
  std::string socket_path() const { return server_.socket_path(); }

  // Of several faults that hit a command, the one that was injected first counts.
  void Inject(TpmFault fault, Target target) {
    const std::lock_guard lock(mutex_);
    injected_.push_back({std::move(fault), target});
  }

  // No more faults.
  void Heal() {
    const std::lock_guard lock(mutex_);
    injected_.clear();
  }

  // How many commands a fault has hit since the proxy was made.
  int hits() const {
    const std::lock_guard lock(mutex_);
    return hits_;
  }

  // The commands with this code that clients have sent.
  std::vector<Bytes> Commands(TPM2_CC code) const {
    const std::lock_guard lock(mutex_);
    std::vector<Bytes> found;
    for (const Bytes& command : commands_) {
      if (TpmCodeOf(command) == code) found.push_back(command);
    }
    return found;
  }

  // A command past all faults, as another client's.
  Bytes Exchange(ByteView command) { return line_.Exchange(command); }

  // Lets other clients at the TPM, which serves one connection at a time.
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
