// tpm2-tss, loaded at run time. Only its System API (SAPI) is used, which encodes commands and
// decodes responses.
//
// The Enhanced System API (ESYS) is slower: it computes the name of every object that it loads, and
// in 3.2.1 creates an OpenSSL library context for each hash. On a software TPM, loading a key took
// twice as long with ESYS.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TSS2_LIBRARY_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TSS2_LIBRARY_H_

#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_sys.h>
#include <tss2/tss2_tcti.h>

namespace device_key {

#define DEVICE_KEY_SYS_SYMBOLS(X)         \
  X(Tss2_Sys_GetContextSize)              \
  X(Tss2_Sys_Initialize)                  \
  X(Tss2_Sys_Finalize)                    \
  X(Tss2_Sys_SetCmdAuths)                 \
  X(Tss2_Sys_ExecuteAsync)                \
  X(Tss2_Sys_ExecuteFinish)               \
  X(Tss2_Sys_CreatePrimary_Prepare)       \
  X(Tss2_Sys_CreatePrimary_Complete)      \
  X(Tss2_Sys_Create_Prepare)              \
  X(Tss2_Sys_Create_Complete)             \
  X(Tss2_Sys_Load_Prepare)                \
  X(Tss2_Sys_Load_Complete)               \
  X(Tss2_Sys_ReadPublic_Prepare)          \
  X(Tss2_Sys_ReadPublic_Complete)         \
  X(Tss2_Sys_ObjectChangeAuth_Prepare)    \
  X(Tss2_Sys_ObjectChangeAuth_Complete)   \
  X(Tss2_Sys_Sign_Prepare)                \
  X(Tss2_Sys_Sign_Complete)               \
  X(Tss2_Sys_ContextSave_Prepare)         \
  X(Tss2_Sys_ContextSave_Complete)        \
  X(Tss2_Sys_ContextLoad_Prepare)         \
  X(Tss2_Sys_ContextLoad_Complete)        \
  X(Tss2_Sys_FlushContext_Prepare)        \
  X(Tss2_Sys_FlushContext_Complete)       \
  X(Tss2_Sys_GetCapability_Prepare)       \
  X(Tss2_Sys_GetCapability_Complete)      \
  X(Tss2_Sys_Certify_Prepare)             \
  X(Tss2_Sys_Certify_Complete)            \
  X(Tss2_Sys_ActivateCredential_Prepare)  \
  X(Tss2_Sys_ActivateCredential_Complete) \
  X(Tss2_Sys_StartAuthSession_Prepare)    \
  X(Tss2_Sys_StartAuthSession_Complete)   \
  X(Tss2_Sys_PolicySecret_Prepare)        \
  X(Tss2_Sys_PolicySecret_Complete)       \
  X(Tss2_Sys_PolicyGetDigest_Prepare)     \
  X(Tss2_Sys_PolicyGetDigest_Complete)    \
  X(Tss2_Sys_NV_ReadPublic_Prepare)       \
  X(Tss2_Sys_NV_ReadPublic_Complete)      \
  X(Tss2_Sys_NV_Read_Prepare)             \
  X(Tss2_Sys_NV_Read_Complete)

#define DEVICE_KEY_MU_SYMBOLS(X)     \
  X(Tss2_MU_TPM2B_PUBLIC_Marshal)    \
  X(Tss2_MU_TPM2B_PUBLIC_Unmarshal)  \
  X(Tss2_MU_TPM2B_PRIVATE_Marshal)   \
  X(Tss2_MU_TPM2B_PRIVATE_Unmarshal) \
  X(Tss2_MU_TPMT_PUBLIC_Marshal)     \
  X(Tss2_MU_TPMT_SIGNATURE_Marshal)

#define DEVICE_KEY_RC_SYMBOLS(X) X(Tss2_RC_Decode)

// The functions of libtss2-sys, libtss2-mu and libtss2-rc, under their own names.
struct Tss2Library {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name cannot have any
#define DEVICE_KEY_DECLARE(name) decltype(&::name) name = nullptr;
  DEVICE_KEY_SYS_SYMBOLS(DEVICE_KEY_DECLARE)
  DEVICE_KEY_MU_SYMBOLS(DEVICE_KEY_DECLARE)
  DEVICE_KEY_RC_SYMBOLS(DEVICE_KEY_DECLARE)
#undef DEVICE_KEY_DECLARE

  // Loads the libraries at the first successful call and keeps them until the process ends. Throws
  // `library_missing`, which names the packages to install; a later call tries again. Thread-safe.
  static const Tss2Library& Get();

  // Sets TSS2_LOG, unless it is set, so that the libraries do not write to standard error. They
  // read the variable when their functions are first called. Call this on the thread that opens
  // stores, not on a worker thread: no other thread may read the environment meanwhile. (Setting
  // process.env does not reach the libraries in a Node.js worker or in Jest, where it is a copy.)
  static void Silence();
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TSS2_LIBRARY_H_
