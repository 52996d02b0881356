// The storage keys below which device keys are made and loaded.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_

#include <memory>
#include <optional>

#include "providers/tpm2/orphans.h"
#include "providers/tpm2/tpm_commands.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// The persistent storage root key's handle by convention (TCG TPM v2.0 Provisioning Guidance,
// section 7.5.1).
inline constexpr TPM2_HANDLE kPersistentSrk = 0x81000001;

// Holds the parents of one connection. There are two: the persistent SRK, which whoever set the
// machine up left at 0x81000001, and the primary key that we derive from StorageKeyTemplate in the
// owner hierarchy where there is none. A key records which one it was made under and needs that
// one for ever. Deriving takes a real chip long, so the primary is derived once.
class StorageParents {
 public:
  // `keep_loaded`: leave the primary in its slot between uses. Wrong behind a resource manager,
  // which would swap it in and out around every signature: there its saved context is kept.
  StorageParents(TpmConnection& connection, bool keep_loaded)
      : connection_(connection), keep_loaded_(keep_loaded) {}

  // The parent for new keys: kPersistentSrk when a usable storage key is there, else
  // TPM2_RH_OWNER, for the primary. That choice is kept once the primary has been derived: looking
  // again would cost a command for each new key. Throws as Lease::Lease.
  TPM2_HANDLE Choose(const OperationLimits& limits);

  // Whether the parent that `Choose` has just found can be used while the TPM is in lockout. The
  // primary always can; a persistent key that tpm2-tools made by default cannot.
  bool UsableInLockout(TPM2_HANDLE parent) const {
    return parent != kPersistentSrk || persistent_->has_no_da;
  }

  // What is known of a parent, worked out once.
  struct PublicArea {
    explicit PublicArea(const TPM2B_PUBLIC& area);
    Bytes name;
    SecretSharingKey salt_key;
    bool has_no_da;
  };

  // The use of one parent, for one command or a few. Must not outlive `parents`.
  class Lease {
   public:
    // `parent` is a value that `Choose` returned, now or when the key was made. Throws `key_lost`
    // when the persistent key is no longer there, `tpm_owner_auth_required` when the primary
    // needs the owner's authorization, and what TpmConnection::Run throws.
    Lease(StorageParents& parents, TPM2_HANDLE parent, const OperationLimits& limits);
    StorageParent get() const { return {{handle_, area_->name}, area_->salt_key}; }

   private:
    TPM2_HANDLE handle_;
    const PublicArea* area_;
    TpmHandle loaded_;  // when it is to be flushed after use
  };

  // Forgets a parent that is not, or no longer the same, where we know it to be. Whether there was
  // one.
  bool ForgetLost(const OperationLimits& limits);

  // The name of the primary, if that stays loaded.
  void AddNames(ObjectNames& names) const;

 private:
  bool FindPersistent(const OperationLimits& limits);
  TpmHandle DerivePrimary(const OperationLimits& limits);

  TpmConnection& connection_;
  const bool keep_loaded_;
  std::optional<PublicArea> persistent_;    // once found
  std::optional<PublicArea> primary_area_;  // once derived
  TpmHandle primary_;
  bool chose_primary_ = false;
  std::unique_ptr<TPMS_CONTEXT> saved_primary_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_
