// TPM Base Services (tbs.dll): what Windows knows of the TPM without using it.
#ifndef DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_
#define DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_

namespace device_key {

// Throws `hardware_unavailable` when there is no TPM, or one before 2.0, which has no ECDSA. When
// Windows cannot tell (the library is missing, the service does not run) that is no answer, and
// using the TPM has to give it. Needs no rights; blocks, at most shortly.
void RequireTpm20();

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_CNG_TPM_BASE_SERVICES_H_
