// Sends commands to a TPM and receives its responses, within time limits.
//
// tpm2-tss's own TCTIs for device nodes and for swtpm are not used. They return the same code
// 0xa000a for missing permission, a missing device and a busy device. The swtpm TCTI has no timeout
// and no descriptor to poll (Tss2_Tcti_GetPollHandles returns 0xa0002 in 3.2.1), so a TPM that
// hangs would block us.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_

#include <tss2/tss2_tcti.h>

#include <string>

#include "crypto/bytes.h"
#include "platform/unique_fd.h"
#include "providers/key_provider.h"
#include "providers/tpm2/tcti_spec.h"

namespace device_key {

// Thrown when the peer has closed the connection; a new connection may succeed.
class ConnectionLost : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
};

// The TCTI interface (TCG TSS 2.0 TPM Command Transmission Interface, version 1) on one descriptor:
// a device node or a socket of swtpm. SAPI writes a command with `transmit`. AwaitResponse reads
// the whole response, and `receive` returns it without waiting. Used by one thread at a time.
class TpmTransport {
 public:
  // Opens the TPM of `spec`. Throws what OpenTpmDevice and ConnectToSwtpm throw.
  explicit TpmTransport(const TctiSpec& spec);
  TpmTransport(const TpmTransport&) = delete;  // SAPI holds its address
  TpmTransport& operator=(const TpmTransport&) = delete;

  // The TCTI for SAPI; valid as long as the transport.
  TSS2_TCTI_CONTEXT* tcti() { return reinterpret_cast<TSS2_TCTI_CONTEXT*>(&context_.base); }

  // Blocks until the whole response to the last command has arrived. Throws `device_timeout` at the
  // deadline, `closed` when interrupted, and ConnectionLost when the peer has closed the
  // connection. After any of these discard the transport, because a late response may still arrive.
  void AwaitResponse(const OperationLimits& limits);

  // Whether the kernel's resource manager is used. It swaps our objects in and out of the TPM's few
  // slots around each command, and flushes them when the connection closes.
  bool has_resource_manager() const { return has_resource_manager_; }

  // Whether a program emulates this TPM with the kernel's vtpm_proxy. Only root can set that up.
  bool is_vtpm_proxy() const { return is_vtpm_proxy_; }

 private:
  // SAPI's pointer to this starts with the interface; the pointer to the transport follows.
  struct Context {
    TSS2_TCTI_CONTEXT_COMMON_V1 base{};
    TpmTransport* owner = nullptr;
  };

  static TSS2_RC Transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command);
  static TSS2_RC Receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t);

  bool complete() const;
  size_t announced() const;
  void CheckSize() const;
  void WaitReadable(const OperationLimits& limits);
  [[noreturn]] void ThrowLost(const std::string& how) const;

  UniqueFd fd_;
  const std::string name_;
  const bool is_socket_;
  bool has_resource_manager_ = false;
  bool is_vtpm_proxy_ = false;
  Context context_;
  Bytes response_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_
