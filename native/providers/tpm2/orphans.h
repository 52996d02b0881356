// Objects and sessions that we may have left in the TPM although we do not know their handles.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_

#include <tss2/tss2_tpm2_types.h>

#include <set>

#include "crypto/bytes.h"

namespace device_key {

class TpmConnection;

// A TPM without a resource manager keeps a loaded object until it is flushed, and has three slots.
// The response to a command that loads or flushes an object can be lost or damaged. The object may
// then still be loaded, and only its name (TPM 2.0 Part 1, section 16) shows that it is ours.
// Outlives connections. Used by one thread at a time.
class Orphans {
 public:
  // Records that an object with this name may have been left in the TPM.
  void Add(const Bytes& name) { names_.insert(name); }
  // Undoes one Add, because the object's handle has become known.
  void Remove(const Bytes& name);

  // The same for the storage key of StorageKeyTemplate. Its name is unknown until the TPM has
  // derived it.
  void AddPrimary() { ++primaries_; }
  void RemovePrimary() { --primaries_; }

  // The same for a policy session of EndorsementSession, which is about to be started. A session
  // has no name. Flush takes those of its kind that were not loaded at the first AddSession. Throws
  // what TpmConnection::Run throws, and then records nothing.
  void AddSession(TpmConnection& connection);
  void RemoveSession() { --sessions_; }

  bool empty() const { return names_.empty() && primaries_ == 0 && sessions_ == 0; }
  void Clear();

  // Flushes the recorded objects and drops them, and drops those that are no longer loaded. An
  // object that the TPM does not let us examine stays recorded for the next call. Throws what
  // TpmConnection::Run throws.
  void Flush(TpmConnection& connection);

 private:
  std::multiset<Bytes> names_;
  int primaries_ = 0;
  int sessions_ = 0;
  std::set<TPM2_HANDLE> older_sessions_;  // loaded at the first AddSession
};

// For a TPM whose slots are full: flushes every object of the kinds that this library makes, except
// those that `connection` holds. They were left by a process that died: a TPM without a resource
// manager serves one connection at a time, so no other process is using them. Returns whether there
// were any. Throws what TpmConnection::Run throws.
bool FlushLeftovers(TpmConnection& connection);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_
