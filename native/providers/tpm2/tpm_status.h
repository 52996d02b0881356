// What a TSS2_RC means: its class, and the error message for the user.
//
// Layout of response codes: TPM 2.0 Library Specification, Part 2 "Structures", section 6.6; the
// layer in bits 16-23: TCG TSS 2.0 Overview and Common Structures, section 2.4.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_STATUS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_STATUS_H_

#include <tss2/tss2_common.h>

#include <string_view>

#include "platform/error.h"

namespace device_key {

// The TPM's own response code with the layer, parameter, handle and session numbers taken out, so
// that it compares with the TPM2_RC_* constants; 0 when a software layer answered, not the TPM. A
// resource manager's repetition of a TPM code counts as the TPM's.
TSS2_RC BareTpmCode(TSS2_RC rc);

// The TPM or another client removed the object behind our handle (reset, or a bare TPM).
bool IsStaleHandle(TSS2_RC rc);
// The authValue did not match, with or without dictionary-attack protection.
bool IsAuthFailure(TSS2_RC rc);
// No free slot for a transient object.
bool IsObjectMemory(TSS2_RC rc);
// The TPM asks for the command once more.
bool AsksToResubmit(TSS2_RC rc);
// The SAPI or TCTI layer can no longer talk to the TPM: both must be rebuilt, since a
// response that was lost may still come.
bool IsConnectionFault(TSS2_RC rc);

// The error for `rc`, which came when we tried to `attempt` ("sign with the key"): what was
// attempted, what the TPM says in words, and what to do where something can be done.
DeviceKeyError TpmError(std::string_view attempt, TSS2_RC rc);

// Throws TpmError unless `rc` is success.
void CheckTpm(std::string_view attempt, TSS2_RC rc);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_STATUS_H_
