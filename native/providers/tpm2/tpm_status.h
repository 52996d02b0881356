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

// The TPM's own response code without the layer, parameter, handle and session numbers, so that it
// can be compared with the TPM2_RC_* constants. 0 if the code is from a software layer. A TPM code
// that a resource manager returns counts as the TPM's.
TSS2_RC BareTpmCode(TSS2_RC rc);

// Whether the object at our handle is gone or replaced, by a TPM reset or by another client of a
// TPM without a resource manager.
bool IsStaleHandle(TSS2_RC rc);
// Whether the authValue was wrong, with or without dictionary-attack protection.
bool IsAuthFailure(TSS2_RC rc);
// Whether there is no free slot for a transient object.
bool IsObjectMemory(TSS2_RC rc);
// Whether the TPM asks to resubmit the command.
bool AsksToResubmit(TSS2_RC rc);
// Whether the SAPI or TCTI layer has lost the TPM. Both must be rebuilt, because a late response
// may still arrive.
bool IsConnectionFault(TSS2_RC rc);

// The error for `rc`, after an attempt to `attempt` ("sign with the key"). The message has the
// attempt, tpm2-tss's text for the code, and a cure if there is one.
DeviceKeyError TpmError(std::string_view attempt, TSS2_RC rc);

// Throws TpmError unless `rc` is success.
void CheckTpm(std::string_view attempt, TSS2_RC rc);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_STATUS_H_
