#include "providers/tpm2/orphans.h"

#include <span>

#include "providers/tpm2/tpm_commands.h"

namespace device_key {

void FlushOrphans(TpmConnection& connection, const ObjectNames& names,
                  const OperationLimits& limits) {
  const TPMS_CAPABILITY_DATA data = GetCapability(
      connection, TPM2_CAP_HANDLES, TPM2_TRANSIENT_FIRST, TPM2_MAX_CAP_HANDLES, limits);
  const TPML_HANDLE& list = data.data.handles;
  for (const TPM2_HANDLE handle : std::span(list.handle, list.count)) {
    TPM2B_PUBLIC area;
    Bytes name;
    if (ReadPublic(connection, handle, area, name, limits) != TSS2_RC_SUCCESS) continue;
    if (names.contains(name)) TpmHandle(connection, handle);  // which flushes it
  }
}

}  // namespace device_key
