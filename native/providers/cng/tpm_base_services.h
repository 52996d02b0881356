// TPM Base Services (tbs.dll): whether there is a TPM, and of which version.
#ifndef DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_
#define DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_

namespace device_key {

// Throws `hardware_unavailable` when there is no TPM, or only a TPM 1.2, which has no ECDSA.
// Returns when Windows cannot tell (no library, the service does not run): then the first use of
// the TPM shows. Needs no rights. May block for a short time.
void RequireTpm20();

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_
