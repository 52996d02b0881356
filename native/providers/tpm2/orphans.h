// What a lost connection left behind in a TPM without a resource manager.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_

#include <set>

#include "crypto/bytes.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// The names (TPM 2.0 Part 1, section 16) of objects.
using ObjectNames = std::set<Bytes>;

// Flushes the transient objects whose names are among `names`. Nobody else does: such a TPM does
// not notice that its client has gone, and a few timeouts would fill its three slots for good.
void FlushOrphans(TpmConnection& connection, const ObjectNames& names,
                  const OperationLimits& limits);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_
