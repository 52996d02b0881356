// TPM transports over a file descriptor: the kernel's device nodes and swtpm's sockets.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_DESCRIPTOR_TRANSPORT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_DESCRIPTOR_TRANSPORT_H_

#include <memory>
#include <string>

#include "providers/tpm2/tpm_transport.h"

namespace device_key {

// `path` is a node such as /dev/tpmrm0.
std::unique_ptr<TpmTransport> OpenDeviceTransport(const std::string& path);

// `conf` as tpm2-tss's swtpm TCTI takes it: "path=<Unix socket>", or "host=<name>,port=<number>"
// (default 127.0.0.1 and 2321). The sockets carry bare TPM commands and responses.
std::unique_ptr<TpmTransport> OpenSwtpmTransport(const std::string& conf);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_DESCRIPTOR_TRANSPORT_H_
