// A SAPI context on a transport, and the TPM handles that belong to it.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "providers/tpm2/orphans.h"
#include "providers/tpm2/tpm_status.h"
#include "providers/tpm2/tpm_transport.h"
#include "providers/tpm2/tss2_library.h"

namespace device_key {

// Discard a connection that has failed, because a late response could be mistaken for the next one.
// Used by one thread at a time.
class TpmConnection {
 public:
  // Records in `orphans`, which must outlive the connection, the objects that may be left in the
  // TPM. Throws what TpmTransport::TpmTransport and Tss2Library::Get throw.
  TpmConnection(const TctiSpec& spec, Orphans& orphans);
  ~TpmConnection();
  TpmConnection(const TpmConnection&) = delete;
  TpmConnection& operator=(const TpmConnection&) = delete;

  const Tss2Library& tss2() const { return tss2_; }
  TSS2_SYS_CONTEXT* sys() const { return sys_; }
  const TpmTransport& transport() const { return transport_; }
  Orphans& orphans() { return orphans_; }
  bool failed() const { return failed_; }
  // Whether the TPM has ever answered on this connection.
  bool answered() const { return answered_; }

  // Sets the limits of the current operation, which apply to Run. SharedTpm::Use calls this for
  // each operation.
  void SetLimits(const OperationLimits& limits) { limits_ = limits; }

  // Runs one TPM command. `prepare` calls a Tss2_Sys_*_Prepare function and sets the command's
  // authorizations; `complete` calls the _Complete function. Both return a response code. Waiting
  // for the response obeys the operation's limits. Returns the TPM's response code; throws
  // ConnectionLost, `device_timeout` or `closed`.
  template <class Prepare, class Complete>
  TSS2_RC Run(Prepare prepare, Complete complete) {
    return RunWithin(limits_, prepare, complete);
  }

  // TPM2_FlushContext, with its own, shorter time limit because destructors call it. Returns
  // whether the TPM confirmed it.
  bool FlushObject(TPM2_HANDLE handle) noexcept;

  // Whether some TpmHandle has this handle.
  bool Holds(TPM2_HANDLE handle) const { return held_.contains(handle); }

 private:
  friend class TpmHandle;  // updates `held_`

  // How often to send a command that the TPM asks to resubmit. ESYS uses the same number.
  static constexpr int kMaxSubmissions = 5;

  template <class Prepare, class Complete>
  TSS2_RC RunWithin(const OperationLimits& limits, Prepare prepare, Complete complete) {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    int submissions = 0;
    do {
      rc = prepare();
      if (rc == TSS2_RC_SUCCESS) rc = Execute(limits);
    } while (AsksToResubmit(rc) && ++submissions < kMaxSubmissions);
    if (rc == TSS2_RC_SUCCESS) rc = complete();
    ThrowIfLost(rc);
    return rc;
  }

  TSS2_RC Execute(const OperationLimits& limits);
  void ThrowIfLost(TSS2_RC rc);

  const Tss2Library& tss2_;
  const std::string name_;
  Orphans& orphans_;
  TpmTransport transport_;
  std::unique_ptr<std::byte[]> memory_;
  TSS2_SYS_CONTEXT* sys_ = nullptr;  // points into `memory_`
  OperationLimits limits_;
  std::multiset<TPM2_HANDLE> held_;
  bool failed_ = false;
  bool answered_ = false;
};

// A transient object in the TPM. The destructor flushes it, because a TPM without a resource
// manager has three slots. If the TPM does not confirm the flush, the object's name goes into the
// connection's Orphans. Must not outlive its connection.
class TpmHandle {
 public:
  TpmHandle() = default;
  TpmHandle(TpmConnection& connection, TPM2_HANDLE handle, Bytes name)
      : connection_(&connection), handle_(handle), name_(std::move(name)) {
    connection.held_.insert(handle);
  }
  TpmHandle(TpmHandle&& other) noexcept
      : connection_(other.connection_),
        handle_(std::exchange(other.handle_, kNone)),
        name_(std::move(other.name_)) {}
  TpmHandle& operator=(TpmHandle&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(handle_, other.handle_);
    std::swap(name_, other.name_);
    return *this;
  }
  ~TpmHandle() { Flush(); }

  TPM2_HANDLE get() const { return handle_; }
  explicit operator bool() const { return handle_ != kNone; }

  // Drops the handle without flushing it, because another client's object may be at it now. Our
  // object is gone or has another handle, so it becomes an orphan.
  void Abandon();

 private:
  static constexpr TPM2_HANDLE kNone = TPM2_RH_UNASSIGNED;

  void Flush();
  TPM2_HANDLE Release();

  TpmConnection* connection_ = nullptr;
  TPM2_HANDLE handle_ = kNone;
  Bytes name_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_
