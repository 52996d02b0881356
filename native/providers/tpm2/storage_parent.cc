#include "providers/tpm2/storage_parent.h"

#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"

namespace device_key {
namespace {

SecretSharingKey SaltKeyOf(const TPMT_PUBLIC& key) {
  if (key.type == TPM2_ALG_RSA) {
    // Part 2, section 12.2.3.5: a zero stands for the usual exponent.
    const uint32_t exponent = key.parameters.rsaDetail.exponent;
    return SecretSharingKey::Rsa(View(key.unique.rsa), exponent == 0 ? 65537 : exponent,
                                 NameHash(key));
  }
  const TpmCurve curve =
      key.parameters.eccDetail.curveID == TPM2_ECC_NIST_P384 ? TpmCurve::kP384 : TpmCurve::kP256;
  return SecretSharingKey::Ecc(curve, View(key.unique.ecc.x), View(key.unique.ecc.y),
                               NameHash(key));
}

}  // namespace

StorageParents::PublicArea::PublicArea(const TPM2B_PUBLIC& area)
    : name(NameOf(area)),
      salt_key(SaltKeyOf(area.publicArea)),
      has_no_da((area.publicArea.objectAttributes & TPMA_OBJECT_NODA) != 0) {}

TPM2_HANDLE StorageParents::Choose(const OperationLimits& limits) {
  const bool has_primary = primary_ || saved_primary_ != nullptr;
  if (chose_primary_ && has_primary) return TPM2_RH_OWNER;
  chose_primary_ = !FindPersistent(limits);
  return chose_primary_ ? TPM2_RH_OWNER : kPersistentSrk;
}

// Whether a storage key that we can use is at 0x81000001; then `persistent_` is its public area.
bool StorageParents::FindPersistent(const OperationLimits& limits) {
  if (persistent_) return true;
  TPM2B_PUBLIC area;
  Bytes name;
  const TSS2_RC rc = ReadPublic(connection_, kPersistentSrk, area, name, limits);
  if (BareTpmCode(rc) == TPM2_RC_HANDLE) return false;  // nothing there
  CheckTpm("look for the storage key at 0x81000001", rc);
  if (!IsStorageKey(area.publicArea)) return false;
  if (name != NameOf(area)) {
    throw TpmError("read the storage key at 0x81000001", TSS2_SYS_RC_MALFORMED_RESPONSE);
  }
  persistent_ = PublicArea(area);
  return true;
}

TpmHandle StorageParents::DerivePrimary(const OperationLimits& limits) {
  TPM2B_PUBLIC area;
  TpmHandle primary = CreatePrimary(connection_, area, limits);
  primary_area_ = PublicArea(area);  // another one than before, if the TPM was cleared
  return primary;
}

StorageParents::Lease::Lease(StorageParents& parents, TPM2_HANDLE parent,
                             const OperationLimits& limits) {
  if (parent == kPersistentSrk) {
    if (!parents.FindPersistent(limits)) {
      throw DeviceKeyError(ErrorCode::kKeyLost,
                           "the key was made under the TPM's storage key at 0x81000001, which is "
                           "no longer there: the TPM has been cleared, or the storage key removed "
                           "or replaced by one of another kind. Enroll again");
    }
    handle_ = kPersistentSrk;
    area_ = &*parents.persistent_;
    return;
  }
  if (parent != TPM2_RH_OWNER) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the stored TPM key names a parent that this library never uses");
  }
  if (parents.keep_loaded_) {
    if (!parents.primary_) parents.primary_ = parents.DerivePrimary(limits);
    handle_ = parents.primary_.get();
    area_ = &*parents.primary_area_;
    return;
  }
  TpmConnection& connection = parents.connection_;
  std::unique_ptr<TPMS_CONTEXT>& saved = parents.saved_primary_;
  // Where its context is not good any more, since the TPM was reset, it is derived anew.
  if (saved == nullptr || LoadContext(connection, *saved, loaded_, limits) != TSS2_RC_SUCCESS) {
    loaded_ = parents.DerivePrimary(limits);
    saved = SaveContext(connection, loaded_.get(), limits);
  }
  handle_ = loaded_.get();
  area_ = &*parents.primary_area_;
}

bool StorageParents::ForgetLost(const OperationLimits& limits) {
  bool forgot = false;
  if (primary_ && !IsStillLoaded(connection_, primary_.get(), primary_area_->name, limits)) {
    primary_.Abandon();
    forgot = true;
  }
  if (persistent_ && !IsStillLoaded(connection_, kPersistentSrk, persistent_->name, limits)) {
    persistent_.reset();
    forgot = true;
  }
  return forgot;
}

void StorageParents::AddNames(ObjectNames& names) const {
  if (primary_) names.insert(primary_area_->name);
}

}  // namespace device_key
