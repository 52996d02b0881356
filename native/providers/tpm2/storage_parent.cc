#include "providers/tpm2/storage_parent.h"

#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"

namespace device_key {

StorageParents::PublicArea::PublicArea(const TPM2B_PUBLIC& area)
    : name(NameOf(area)), has_no_da((area.publicArea.objectAttributes & TPMA_OBJECT_NODA) != 0) {}

TPM2_HANDLE StorageParents::Choose() {
  const bool has_primary = primary_ || saved_primary_ != nullptr;
  if (chose_primary_ && has_primary) return TPM2_RH_OWNER;
  chose_primary_ = !FindPersistent();
  return chose_primary_ ? TPM2_RH_OWNER : kPersistentSrk;
}

// Whether a usable storage key is at 0x81000001. If so, `persistent_` is its public area.
bool StorageParents::FindPersistent() {
  if (persistent_) return true;
  TPM2B_PUBLIC area;
  Bytes name;
  const TSS2_RC rc = ReadPublic(connection_, kPersistentSrk, area, name);
  if (BareTpmCode(rc) == TPM2_RC_HANDLE) return false;  // no object there
  CheckTpm("look for the storage key at 0x81000001", rc);
  if (!IsStorageKey(area.publicArea)) return false;
  if (name != NameOf(area)) {
    throw TpmError("read the storage key at 0x81000001", TSS2_SYS_RC_MALFORMED_RESPONSE);
  }
  persistent_ = PublicArea(area);
  return true;
}

// Whether `parent` is at 0x81000001. Checked first, because deriving the primary takes longer.
bool StorageParents::UsesPersistent(const ParentReference& parent) {
  if (parent.name.empty()) return parent.handle == kPersistentSrk;
  if (primary_area_ && primary_area_->name == parent.name) return false;
  return FindPersistent() && persistent_->name == parent.name;
}

TpmHandle StorageParents::DerivePrimary() {
  TPM2B_PUBLIC area;
  TpmHandle primary = CreatePrimary(connection_, area);
  primary_area_ = PublicArea(area);  // differs from the previous one if the TPM was cleared
  return primary;
}

StorageParents::Lease::Lease(StorageParents& parents, const ParentReference& parent) {
  if (parents.UsesPersistent(parent)) {
    if (!parents.FindPersistent()) {
      throw DeviceKeyError(ErrorCode::kKeyLost,
                           "the key was made under the TPM's storage key at 0x81000001, which is "
                           "no longer there: the TPM has been cleared, or the storage key removed "
                           "or replaced by one of another kind. Enroll again");
    }
    UsePersistent(parents);
  } else {
    UsePrimary(parents);
  }
  if (!parent.name.empty() && reference_.name != parent.name) {
    throw DeviceKeyError(ErrorCode::kKeyLost,
                         "the storage key that the key was made under is no longer there: it "
                         "is not at 0x81000001 and cannot be derived. The TPM has been cleared, or "
                         "the storage key removed or replaced, or the key belongs to another TPM. "
                         "Enroll again");
  }
}

void StorageParents::Lease::UsePersistent(const StorageParents& parents) {
  handle_ = kPersistentSrk;
  reference_ = {kPersistentSrk, parents.persistent_->name};
}

void StorageParents::Lease::UsePrimary(StorageParents& parents) {
  if (parents.keep_loaded_) {
    if (!parents.primary_) parents.primary_ = parents.DerivePrimary();
    handle_ = parents.primary_.get();
  } else {
    TpmConnection& connection = parents.connection_;
    std::unique_ptr<TPMS_CONTEXT>& saved = parents.saved_primary_;
    // A saved context becomes invalid when the TPM is reset; then the primary is derived again.
    if (saved == nullptr ||
        LoadContext(connection, *saved, parents.primary_area_->name, loaded_) != TSS2_RC_SUCCESS) {
      loaded_ = parents.DerivePrimary();
      saved = SaveContext(connection, loaded_.get());
    }
    handle_ = loaded_.get();
  }
  reference_ = {TPM2_RH_OWNER, parents.primary_area_->name};
}

bool StorageParents::ForgetLost() {
  bool forgot = false;
  if (primary_ && !IsStillLoaded(connection_, primary_.get(), primary_area_->name)) {
    primary_.Abandon();
    forgot = true;
  }
  if (persistent_ && !IsStillLoaded(connection_, kPersistentSrk, persistent_->name)) {
    persistent_.reset();
    forgot = true;
  }
  return forgot;
}

}  // namespace device_key
