#include "providers/tpm2/storage_parent.h"

#include "providers/tpm2/key_templates.h"

namespace device_key {

TPM2_HANDLE StorageParents::Choose(const OperationLimits& limits) {
  return FindPersistent(limits) ? kPersistentSrk : TPM2_RH_OWNER;
}

// Whether a storage key that we can use is at 0x81000001; then `persistent_` names it.
bool StorageParents::FindPersistent(const OperationLimits& limits) {
  if (persistent_ != ESYS_TR_NONE) return true;
  const Tss2Library& tss2 = connection_.tss2();
  ESYS_CONTEXT* esys = connection_.esys();
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC found = FindObject(connection_, kPersistentSrk, handle, limits);
  if (BareTpmCode(found) == TPM2_RC_HANDLE) return false;  // nothing there
  CheckTpm("look for the storage key at 0x81000001", found);

  TPM2B_PUBLIC* area = nullptr;
  const TSS2_RC read = connection_.Run(
      limits,
      [&] {
        return tss2.Esys_ReadPublic_Async(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
      },
      [&] { return tss2.Esys_ReadPublic_Finish(esys, &area, nullptr, nullptr); });
  const EsysPtr<TPM2B_PUBLIC> owned_area(area);
  CheckTpm("read the storage key at 0x81000001", read);
  if (!IsStorageKey(area->publicArea)) return false;
  persistent_ = handle;
  persistent_area_ = *area;
  return true;
}

TpmHandle StorageParents::CreatePrimary(const OperationLimits& limits) {
  const Tss2Library& tss2 = connection_.tss2();
  ESYS_CONTEXT* esys = connection_.esys();
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_PUBLIC area = StorageKeyTemplate();
  const TPM2B_DATA outside_info{};
  const TPML_PCR_SELECTION pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  TPM2B_PUBLIC* made = nullptr;
  const TSS2_RC rc = connection_.Run(
      limits,
      [&] {
        return tss2.Esys_CreatePrimary_Async(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                             ESYS_TR_NONE, &no_auth, &area, &outside_info, &pcrs);
      },
      [&] {
        return tss2.Esys_CreatePrimary_Finish(esys, &handle, &made, nullptr, nullptr, nullptr);
      });
  const EsysPtr<TPM2B_PUBLIC> owned_made(made);
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(
        ErrorCode::kTpmOwnerAuthRequired,
        "the TPM's owner hierarchy has a password and there is no storage key at 0x81000001, so no "
        "parent for device keys can be derived. As the TPM's owner, make one persistent: "
        "`tpm2_createprimary -C o -P <password> -G ecc -a 'fixedtpm|fixedparent|"
        "sensitivedataorigin|userwithauth|noda|restricted|decrypt' -c srk.ctx` and "
        "`tpm2_evictcontrol -C o -P <password> -c srk.ctx 0x81000001`",
        rc);
  }
  CheckTpm("derive the storage key", rc);
  primary_area_ = *made;
  return TpmHandle(connection_, handle);
}

StorageParents::Lease::Lease(StorageParents& parents, TPM2_HANDLE parent,
                             const OperationLimits& limits) {
  if (parent == kPersistentSrk) {
    if (!parents.FindPersistent(limits)) {
      throw DeviceKeyError(ErrorCode::kKeyLost,
                           "the key was made under the TPM's storage key at 0x81000001, which is "
                           "no longer there: the TPM has been cleared or the storage key removed. "
                           "Enroll again");
    }
    parent_ = {parents.persistent_, parents.persistent_area_};
    return;
  }
  if (parent != TPM2_RH_OWNER) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the stored TPM key names a parent that this library never uses");
  }
  if (parents.keep_loaded_) {
    if (!parents.primary_) parents.primary_ = parents.CreatePrimary(limits);
    parent_ = {parents.primary_.get(), parents.primary_area_};
    return;
  }
  TpmConnection& connection = parents.connection_;
  EsysPtr<TPMS_CONTEXT>& saved = parents.saved_primary_;
  // Where its context is not good any more, since the TPM was reset, it is derived anew.
  if (saved == nullptr || LoadContext(connection, *saved, loaded_, limits) != TSS2_RC_SUCCESS) {
    loaded_ = parents.CreatePrimary(limits);
    saved = SaveContext(connection, loaded_.get(), limits);
  }
  parent_ = {loaded_.get(), parents.primary_area_};
}

bool StorageParents::ForgetLost(const OperationLimits& limits) {
  bool forgot = false;
  if (primary_ && !IsStillLoaded(connection_, primary_.get(), limits)) {
    primary_.Abandon();
    forgot = true;
  }
  if (persistent_ != ESYS_TR_NONE && !IsStillLoaded(connection_, persistent_, limits)) {
    connection_.tss2().Esys_TR_Close(connection_.esys(), &persistent_);
    persistent_ = ESYS_TR_NONE;
    forgot = true;
  }
  return forgot;
}

void StorageParents::AddNames(ObjectNames& names) const {
  if (primary_) names.insert(NameOf(connection_, primary_.get()));
}

}  // namespace device_key
