// The storage keys below which device keys are made and loaded.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_

#include <memory>
#include <optional>

#include "providers/tpm2/tpm_commands.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// The persistent storage root key's handle by convention (TCG TPM v2.0 Provisioning Guidance,
// section 7.5.1).
inline constexpr TPM2_HANDLE kPersistentSrk = 0x81000001;

// The parent of a device key, as the key's record names it.
struct ParentReference {
  TPM2_HANDLE handle;  // where it was: kPersistentSrk, or TPM2_RH_OWNER for the derived primary
  Bytes name;          // its TPM name; empty in older records, which hold the handle alone
};

// Holds the parents of one connection. There are two: the persistent SRK at 0x81000001, if the
// machine's owner has put one there, and the primary key that we derive from StorageKeyTemplate in
// the owner hierarchy. A key can be loaded below its own parent only. Deriving is slow on a
// real chip, so the primary is derived once.
class StorageParents {
 public:
  // Without a resource manager the primary stays in its slot between uses. A resource manager would
  // swap it in and out around every signature: there its saved context is kept instead.
  explicit StorageParents(TpmConnection& connection)
      : connection_(connection), keep_loaded_(!connection.transport().has_resource_manager()) {}

  // The parent for new keys: kPersistentSrk when a usable storage key is there, else
  // TPM2_RH_OWNER, for the primary. That choice is kept once the primary has been derived: looking
  // again would cost a command for each new key. Throws as Lease::Lease.
  TPM2_HANDLE Choose();

  // Whether the parent that `Choose` has just found can be used while the TPM is in lockout. The
  // primary always can; a persistent key that tpm2-tools made by default cannot.
  bool UsableInLockout(TPM2_HANDLE parent) const {
    return parent != kPersistentSrk || persistent_->has_no_da;
  }

  // The use of one parent, for one command or a few. Must not outlive `parents`.
  class Lease {
   public:
    // With a name in `parent`: the key that has it, whether it is at 0x81000001 or can be derived.
    // Without: what is behind its handle. Throws `key_lost` when that parent is not there,
    // `tpm_owner_auth_required` when the primary needs the owner's authorization, and what
    // TpmConnection::Run throws.
    Lease(StorageParents& parents, const ParentReference& parent);

    TPM2_HANDLE handle() const { return handle_; }  // for commands

    // To be recorded: where and what the parent is.
    const ParentReference& reference() const { return reference_; }

   private:
    void UsePersistent(const StorageParents& parents);
    void UsePrimary(StorageParents& parents);

    TPM2_HANDLE handle_;
    ParentReference reference_;
    TpmHandle loaded_;  // when it is to be flushed after use
  };

  // Forgets a parent that is no longer behind its stored handle. Returns whether there was one.
  bool ForgetLost();

 private:
  // Facts about a parent, computed once.
  struct PublicArea {
    explicit PublicArea(const TPM2B_PUBLIC& area);
    Bytes name;
    bool has_no_da;
  };

  bool FindPersistent();
  bool UsesPersistent(const ParentReference& parent);
  TpmHandle DerivePrimary();

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
