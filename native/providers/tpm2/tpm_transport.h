// How command and response bytes travel to a TPM and back, with a limit on the wait.
//
// tpm2-tss's own TCTIs for device nodes and for swtpm are not used: they answer 0xa000a alike for
// no permission, no device and busy, and the swtpm one can neither time out nor name a descriptor
// to poll (Tss2_Tcti_GetPollHandles: 0xa0002 in 3.2.1), so a TPM that hangs would hang us.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_

#include <tss2/tss2_tcti.h>

#include <memory>

#include "providers/key_provider.h"
#include "providers/tpm2/tcti_spec.h"

namespace device_key {

// Thrown when the other side has gone away; a new connection may succeed.
class ConnectionLost : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
};

// One open connection to a TPM. Used by one thread at a time.
class TpmTransport {
 public:
  virtual ~TpmTransport() = default;

  // The TCTI to give to SAPI; owned by the transport and valid as long as it.
  virtual TSS2_TCTI_CONTEXT* tcti() = 0;

  // Blocks until the response to the last command has arrived as a whole. Throws `device_timeout`
  // at the deadline, `closed` when interrupted, ConnectionLost when the other side is gone. After
  // any of them the transport is of no more use, since a late response may still come.
  virtual void AwaitResponse(const OperationLimits& limits) = 0;

  // Opens what `spec` names: `device` and `swtpm` here, others through libtss2-tctildr (then
  // AwaitResponse cannot wait and the limits do not hold). Throws `hardware_unavailable`,
  // `permission_denied`, `device_busy` or `library_missing`, each with the cure.
  static std::unique_ptr<TpmTransport> Open(const TctiSpec& spec);
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_TRANSPORT_H_
