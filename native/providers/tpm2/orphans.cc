#include "providers/tpm2/orphans.h"

#include <span>

#include "providers/tpm2/tpm_commands.h"

namespace device_key {

void FlushOrphans(TpmConnection& connection, const ObjectNames& names,
                  const OperationLimits& limits) {
  const auto data = GetCapability(connection, TPM2_CAP_HANDLES, TPM2_TRANSIENT_FIRST,
                                  TPM2_MAX_CAP_HANDLES, limits);
  const TPML_HANDLE& list = data->data.handles;
  for (const TPM2_HANDLE handle : std::span(list.handle, list.count)) {
    ESYS_TR object = ESYS_TR_NONE;
    if (FindObject(connection, handle, object, limits) != TSS2_RC_SUCCESS) continue;
    TpmHandle found(connection, object);
    if (!names.contains(NameOf(connection, object))) found.Abandon();
  }
}

}  // namespace device_key
