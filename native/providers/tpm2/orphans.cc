#include "providers/tpm2/orphans.h"

#include <span>

#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/tpm_commands.h"

namespace device_key {
namespace {

struct SweepResult {
  bool flushed_some = false;
  bool saw_all = true;  // every object was examined, and every flush succeeded
};

// Flushes the transient objects that `connection` does not hold and for which
// `is_ours(public_area, name)` is true.
template <class IsOurs>
SweepResult Sweep(TpmConnection& connection, IsOurs is_ours) {
  const TPMS_CAPABILITY_DATA data =
      GetCapability(connection, TPM2_CAP_HANDLES, TPM2_TRANSIENT_FIRST, TPM2_MAX_CAP_HANDLES);
  const TPML_HANDLE& list = data.data.handles;
  SweepResult result;
  for (const TPM2_HANDLE handle : std::span(list.handle, list.count)) {
    if (connection.Holds(handle)) continue;
    TPM2B_PUBLIC area;
    Bytes name;
    const TSS2_RC rc = ReadPublic(connection, handle, area, name);
    // The object is already gone, or it is another program's hash sequence.
    if (IsStaleHandle(rc) || BareTpmCode(rc) == TPM2_RC_SEQUENCE) continue;
    // The name algorithm of our objects is SHA-256. A name that does not match the public area was
    // damaged in transit.
    if (rc != TSS2_RC_SUCCESS ||
        (area.publicArea.nameAlg == TPM2_ALG_SHA256 && name != NameOf(area))) {
      result.saw_all = false;
    } else if (is_ours(area.publicArea, name)) {
      const bool flushed = connection.FlushObject(handle);
      result.flushed_some |= flushed;
      result.saw_all &= flushed;
    }
  }
  return result;
}

std::set<TPM2_HANDLE> LoadedSessions(TpmConnection& connection) {
  const TPMS_CAPABILITY_DATA data =
      GetCapability(connection, TPM2_CAP_HANDLES, TPM2_LOADED_SESSION_FIRST, TPM2_MAX_CAP_HANDLES);
  const TPML_HANDLE& list = data.data.handles;
  return {list.handle, list.handle + list.count};
}

// Flushes the policy sessions of EndorsementSession's kind that are not in `older`. Returns whether
// every session was examined, and every flush succeeded.
bool SweepSessions(TpmConnection& connection, const std::set<TPM2_HANDLE>& older) {
  bool saw_all = true;
  for (const TPM2_HANDLE handle : LoadedSessions(connection)) {
    if (older.contains(handle) || handle < TPM2_POLICY_SESSION_FIRST) continue;
    Bytes digest;
    const TSS2_RC rc = PolicyDigest(connection, handle, digest);
    if (IsStaleHandle(rc)) continue;
    if (rc != TPM2_RC_SUCCESS) {
      saw_all = false;
    } else if (IsEndorsementPolicy(digest)) {
      saw_all &= connection.FlushObject(handle);
    }
  }
  return saw_all;
}

}  // namespace

void Orphans::AddSession(TpmConnection& connection) {
  if (sessions_ == 0) older_sessions_ = LoadedSessions(connection);
  ++sessions_;
}

void Orphans::Remove(const Bytes& name) {
  if (const auto found = names_.find(name); found != names_.end()) names_.erase(found);
}

void Orphans::Clear() {
  names_.clear();
  primaries_ = 0;
  sessions_ = 0;
}

void Orphans::Flush(TpmConnection& connection) {
  const SweepResult result = Sweep(connection, [&](const TPMT_PUBLIC& area, const Bytes& name) {
    return names_.contains(name) || (primaries_ > 0 && IsDerivedStorageKey(area));
  });
  const bool saw_all_sessions = sessions_ == 0 || SweepSessions(connection, older_sessions_);
  if (result.saw_all && saw_all_sessions) Clear();
}

bool FlushLeftovers(TpmConnection& connection) {
  return Sweep(connection,
               [](const TPMT_PUBLIC& area, const Bytes&) {
                 return IsDeviceKey(area) || IsDerivedStorageKey(area) || IsAttestationKey(area) ||
                        IsEndorsementKey(area);
               })
      .flushed_some;
}

}  // namespace device_key
