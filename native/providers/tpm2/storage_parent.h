// The storage keys that are the parents of device keys.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_
#define DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_

#include <memory>
#include <optional>

#include "providers/tpm2/tpm_commands.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// The conventional handle of the persistent storage root key (TCG TPM v2.0 Provisioning Guidance,
// section 7.5.1).
inline constexpr TPM2_HANDLE kPersistentSrk = 0x81000001;

// The parent of a device key, as stored in the key's record.
struct ParentReference {
  TPM2_HANDLE handle;  // kPersistentSrk, or TPM2_RH_OWNER for the derived primary
  Bytes name;          // its TPM name; empty in older records, which have only the handle
};

// The parents of one connection. There are two: the persistent SRK at 0x81000001, if the machine's
// owner has stored one there, and the primary key that we derive from StorageKeyTemplate in the
// owner hierarchy. A key can be loaded only below its own parent. The primary is derived once,
// because that is slow on a hardware TPM.
class StorageParents {
 public:
  // Without a resource manager the primary stays loaded between uses. A resource manager would swap
  // it in and out around every signature, so there only its saved context is kept.
  explicit StorageParents(TpmConnection& connection)
      : connection_(connection), keep_loaded_(!connection.transport().has_resource_manager()) {}

  // The parent for new keys: kPersistentSrk if a usable storage key is there, else TPM2_RH_OWNER
  // for the primary. Once the primary has been derived, the choice stays the same: checking again
  // would cost a command for each new key. Throws as Lease::Lease.
  TPM2_HANDLE Choose();

  // Whether the parent that `Choose` has just returned can be used while the TPM is in lockout. The
  // primary always can (noDA). A persistent key that tpm2-tools made by default cannot.
  bool UsableInLockout(TPM2_HANDLE parent) const {
    return parent != kPersistentSrk || persistent_->has_no_da;
  }

  // The use of one parent for one or more commands. Must not outlive `parents`.
  class Lease {
   public:
    // If `parent` has a name: uses the key with this name, which is at 0x81000001 or can be
    // derived. If not: uses the key at its handle. Throws `key_lost` if that parent does not exist,
    // `tpm_owner_auth_required` if the primary needs the owner's authorization, and what
    // TpmConnection::Run throws.
    Lease(StorageParents& parents, const ParentReference& parent);

    TPM2_HANDLE handle() const { return handle_; }  // for commands

    // For the key's record.
    const ParentReference& reference() const { return reference_; }

   private:
    void UsePersistent(const StorageParents& parents);
    void UsePrimary(StorageParents& parents);

    TPM2_HANDLE handle_;
    ParentReference reference_;
    TpmHandle loaded_;  // set if it must be flushed after use
  };

  // Drops a parent that is no longer at its stored handle. Returns whether there was one.
  bool ForgetLost();

 private:
  // Properties of a parent, computed once.
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
  std::optional<PublicArea> persistent_;    // set once found
  std::optional<PublicArea> primary_area_;  // set once derived
  TpmHandle primary_;
  bool chose_primary_ = false;
  std::unique_ptr<TPMS_CONTEXT> saved_primary_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_STORAGE_PARENT_H_
