// TPM Base Services (tbs.dll): whether there is a TPM, and of which version.
#ifndef DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_
#define DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_

namespace device_key {

// Throws `hardware_unavailable` if there is no TPM, or only a TPM 1.2, which has no ECDSA. If
// Windows cannot tell (no library, the service does not run), it returns, and the first use of the
// TPM will tell. Needs no rights. May block for a short time.
void RequireTpm20();

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_
