#include "providers/tpm2/orphans.h"

#include <span>

#include "providers/tpm2/tpm_commands.h"

namespace device_key {

void FlushOrphans(TpmConnection& connection, const ObjectNames& names,
                  const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  const auto data = GetCapability(connection, TPM2_CAP_HANDLES, TPM2_TRANSIENT_FIRST,
                                  TPM2_MAX_CAP_HANDLES, limits);
  const TPML_HANDLE& list = data->data.handles;
  for (const TPM2_HANDLE handle : std::span(list.handle, list.count)) {
    ESYS_TR object = ESYS_TR_NONE;
    const TSS2_RC rc = connection.Run(
        limits,
        [&] {
          return tss2.Esys_TR_FromTPMPublic_Async(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
                                                  ESYS_TR_NONE);
        },
        [&] { return tss2.Esys_TR_FromTPMPublic_Finish(esys, &object); });
    if (rc != TSS2_RC_SUCCESS) continue;
    TpmHandle found(connection, object);
    if (!names.contains(NameOf(connection, object))) found.Abandon();
  }
}

}  // namespace device_key
