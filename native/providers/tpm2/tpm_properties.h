// Properties of a TPM, for reports.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_PROPERTIES_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_PROPERTIES_H_

#include <nlohmann/json.hpp>

#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// {"manufacturer": "IBM", "vendor": "SW TPM", "firmwareVersion": "8217.4131.18.13878",
//  "ownerAuthSet": false, "inLockout": false, "lockoutCounter": 0, "maxAuthFail": 3,
//  "lockoutIntervalSeconds": 1000}
// (TPM 2.0 Part 2, sections 6.13 "TPM_PT" and 8.6 "TPMA_PERMANENT").
nlohmann::json ReadTpmProperties(TpmConnection& connection);

// Whether the TPM lists the curve NIST P-256.
bool HasP256(TpmConnection& connection);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_PROPERTIES_H_
