// Objects that we may have left in the TPM without knowing their handles.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_

#include <set>

#include "crypto/bytes.h"

namespace device_key {

class TpmConnection;

// A TPM without a resource manager keeps every loaded object until someone flushes it, and has
// three slots. The answer to a command that loads an object can be lost or damaged, and so can a
// flush: then the object may be there, and only its name (TPM 2.0 Part 1, section 16) tells that it
// is ours. Outlives connections. Used by one thread at a time.
class Orphans {
 public:
  // An object with this name may have been left behind.
  void Add(const Bytes& name) { names_.insert(name); }
  // Takes one Add back: the object's handle is known after all.
  void Remove(const Bytes& name);

  // The same for the storage key of StorageKeyTemplate, whose name is not known before the TPM has
  // derived it.
  void AddPrimary() { ++primaries_; }
  void RemovePrimary() { --primaries_; }

  bool empty() const { return names_.empty() && primaries_ == 0; }
  void Clear();

  // Flushes them and forgets them, and forgets those that are not there. What the TPM does not let
  // us look at stays for the next call. Throws what TpmConnection::Run throws.
  void Flush(TpmConnection& connection);

 private:
  std::multiset<Bytes> names_;
  int primaries_ = 0;
};

// For a TPM whose slots are full: flushes every object of the kinds that this library makes, unless
// `connection` holds it. They come from a process that died; such a TPM serves one connection at a
// time, so nobody else is using them. Returns whether there were any. Throws what
// TpmConnection::Run throws.
bool FlushLeftovers(TpmConnection& connection);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_ORPHANS_H_
