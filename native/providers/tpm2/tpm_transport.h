// How command and response bytes travel to a TPM and back, with a limit on the wait.
//
// tpm2-tss's own TCTIs for device nodes and for swtpm are not used: they answer 0xa000a alike for
// no permission, no device and busy, and the swtpm one can neither time out nor name a descriptor
// to poll (Tss2_Tcti_GetPollHandles: 0xa0002 in 3.2.1), so a TPM that hangs would block us.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_

#include <tss2/tss2_tcti.h>

#include <string>

#include "crypto/bytes.h"
#include "platform/unique_fd.h"
#include "providers/key_provider.h"
#include "providers/tpm2/tcti_spec.h"

namespace device_key {

// Thrown when the other side has gone away; a new connection may succeed.
class ConnectionLost : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
};

// The TCTI interface (TCG TSS 2.0 TPM Command Transmission Interface, version 1) over one
// descriptor: a device node or a socket of swtpm. SAPI writes a command through `transmit`;
// AwaitResponse collects the whole response; `receive` hands it over and never waits. Used by one
// thread at a time.
class TpmTransport {
 public:
  // Opens what `spec` names. Throws what OpenTpmDevice and ConnectToSwtpm throw.
  explicit TpmTransport(const TctiSpec& spec);
  TpmTransport(const TpmTransport&) = delete;  // SAPI holds its address
  TpmTransport& operator=(const TpmTransport&) = delete;

  // The TCTI to give to SAPI; valid as long as the transport.
  TSS2_TCTI_CONTEXT* tcti() { return reinterpret_cast<TSS2_TCTI_CONTEXT*>(&context_.base); }

  // Blocks until the whole response to the last command has arrived. Throws `device_timeout` at the
  // deadline, `closed` when interrupted, ConnectionLost when the other side is gone. After any of
  // them discard the transport: a late response may still come.
  void AwaitResponse(const OperationLimits& limits);

  // Whether the kernel swaps our objects in and out of the TPM's few slots around each command, and
  // flushes them when the connection closes.
  bool has_resource_manager() const { return has_resource_manager_; }

  // Whether a program plays this TPM, through the kernel's vtpm_proxy. Only root can arrange that.
  bool is_vtpm_proxy() const { return is_vtpm_proxy_; }

 private:
  // The context that SAPI holds: the interface first, then a pointer to the transport.
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
