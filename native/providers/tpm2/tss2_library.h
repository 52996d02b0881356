// tpm2-tss, loaded at run time.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TSS2_LIBRARY_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TSS2_LIBRARY_H_

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include <memory>

namespace device_key {

#define DEVICE_KEY_ESYS_SYMBOLS(X) \
  X(Esys_Initialize)               \
  X(Esys_Finalize)                 \
  X(Esys_Free)                     \
  X(Esys_SetTimeout)               \
  X(Esys_TR_SetAuth)               \
  X(Esys_TR_GetName)               \
  X(Esys_TR_GetTpmHandle)          \
  X(Esys_TR_Close)                 \
  X(Esys_TR_FromTPMPublic_Async)   \
  X(Esys_TR_FromTPMPublic_Finish)  \
  X(Esys_ReadPublic_Async)         \
  X(Esys_ReadPublic_Finish)        \
  X(Esys_CreatePrimary_Async)      \
  X(Esys_CreatePrimary_Finish)     \
  X(Esys_Load_Async)               \
  X(Esys_Load_Finish)              \
  X(Esys_Sign_Async)               \
  X(Esys_Sign_Finish)              \
  X(Esys_ContextSave_Async)        \
  X(Esys_ContextSave_Finish)       \
  X(Esys_ContextLoad_Async)        \
  X(Esys_ContextLoad_Finish)       \
  X(Esys_FlushContext_Async)       \
  X(Esys_FlushContext_Finish)      \
  X(Esys_GetCapability_Async)      \
  X(Esys_GetCapability_Finish)

#define DEVICE_KEY_MU_SYMBOLS(X)    \
  X(Tss2_MU_TPM2B_PUBLIC_Marshal)   \
  X(Tss2_MU_TPM2B_PUBLIC_Unmarshal) \
  X(Tss2_MU_TPM2B_PRIVATE_Marshal)  \
  X(Tss2_MU_TPM2B_PRIVATE_Unmarshal)

#define DEVICE_KEY_RC_SYMBOLS(X) X(Tss2_RC_Decode)

#define DEVICE_KEY_TCTILDR_SYMBOLS(X) \
  X(Tss2_TctiLdr_Initialize)          \
  X(Tss2_TctiLdr_Finalize)

// The functions of libtss2-esys, -mu and -rc under their own names.
struct Tss2Library {
#define DEVICE_KEY_DECLARE(name) decltype(&::name) name = nullptr;
  DEVICE_KEY_ESYS_SYMBOLS(DEVICE_KEY_DECLARE)
  DEVICE_KEY_MU_SYMBOLS(DEVICE_KEY_DECLARE)
  DEVICE_KEY_RC_SYMBOLS(DEVICE_KEY_DECLARE)
#undef DEVICE_KEY_DECLARE

  // Loads the libraries on the first successful call and keeps them for the life of the process.
  // Throws `library_missing` naming the packages to install; a later call tries again. Thread-safe.
  static const Tss2Library& Get();
};

// libtss2-tctildr, needed only for TCTIs other than `device` and `swtpm`.
struct Tss2TctiLoader {
#define DEVICE_KEY_DECLARE(name) decltype(&::name) name = nullptr;
  DEVICE_KEY_TCTILDR_SYMBOLS(DEVICE_KEY_DECLARE)
#undef DEVICE_KEY_DECLARE

  // As Tss2Library::Get.
  static const Tss2TctiLoader& Get();
};

struct EsysFree {
  void operator()(void* memory) const { Tss2Library::Get().Esys_Free(memory); }
};

// Memory that an Esys_* call allocated for its caller.
template <class T>
using EsysPtr = std::unique_ptr<T, EsysFree>;

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TSS2_LIBRARY_H_
