// Connecting to a software TPM (swtpm).
#ifndef DEVICE_KEY_PROVIDERS_TPM2_SWTPM_SOCKET_H_
#define DEVICE_KEY_PROVIDERS_TPM2_SWTPM_SOCKET_H_

#include <string>

#include "platform/unique_fd.h"

namespace device_key {

// `conf` has the syntax of tpm2-tss's swtpm TCTI: "path=<Unix socket>", or
// "host=<name>,port=<number>" (defaults: 127.0.0.1 and 2321). The socket carries plain TPM commands
// and responses. Throws `hardware_unavailable`, `permission_denied`, `device_busy` or
// `invalid_params`; each message tells the cure.
UniqueFd ConnectToSwtpm(const std::string& conf);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_SWTPM_SOCKET_H_
