// One TPM, shared by all stores of this process. One thread at a time uses it.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_
#define DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_

#include <memory>
#include <mutex>
#include <utility>

#include "providers/tpm2/loaded_keys.h"
#include "providers/tpm2/storage_parent.h"

namespace device_key {

// The state of one connection. Members are destroyed in reverse order, so the handles flush
// themselves before the connection closes.
struct TpmState {
  TpmState(const TctiSpec& spec, Orphans& orphans)
      : connection(spec, orphans), parents(connection), keys(connection) {}

  // Tries to remove the cause of the response code `rc`. Returns whether it changed anything, so
  // that a retry makes sense:
  // - The slots are full: evicts our own keys and flushes objects that dead processes left.
  // - A reset or another client removed or replaced our objects: drops those, and they are loaded
  // again when needed.
  bool Recover(TSS2_RC rc);

  TpmConnection connection;
  StorageParents parents;
  LoadedKeys keys;
};

class SharedTpm {
 public:
  // The process's one object for `spec`. It stays connected as long as a caller keeps it: a TPM
  // without a resource manager serves one connection and has three slots.
  static std::shared_ptr<SharedTpm> For(const TctiSpec& spec);

  explicit SharedTpm(TctiSpec spec) : spec_(std::move(spec)) {}

  // Calls `work(TpmState&)` on a live connection, exclusively and within `limits`. If the
  // connection is lost (the TPM was restarted), opens a new one and calls `work` once more. Throws
  // `device_busy` if other threads used the TPM until the deadline, and what `work` and opening a
  // connection throw. Once the TPM has answered, a second loss or a failed reopening is a
  // PassingError: because of a temporary fault a new key must not go into a weaker store.
  template <class Work>
  auto Use(const OperationLimits& limits, Work work) {
    const std::unique_lock lock = Acquire(limits);
    const EndOfUse end{*this};
    try {
      return work(Connected(limits));
    } catch (const ConnectionLost&) {
      Drop();
    }
    try {
      return work(Connected(limits));
    } catch (const ConnectionLost& error) {
      Drop();
      if (answered_) throw PassingError(error);
      throw;
    }
  }

  // Calls `work` only if a connection is already open.
  template <class Work>
  void UseIfConnected(const OperationLimits& limits, Work work) {
    const std::unique_lock lock = Acquire(limits);
    const EndOfUse end{*this};
    if (state_ != nullptr) work(Connected(limits));
  }

 private:
  // Closes a failed connection immediately, not at the next use, and clears the operation's limits.
  struct EndOfUse {
    SharedTpm& tpm;
    ~EndOfUse() {
      if (tpm.state_ == nullptr) return;
      tpm.state_->connection.SetLimits({});
      if (tpm.state_->connection.failed()) tpm.Drop();
    }
  };

  std::unique_lock<std::timed_mutex> Acquire(const OperationLimits& limits);
  TpmState& Connected(const OperationLimits& limits);
  void Connect();
  void Drop();

  const TctiSpec spec_;
  std::timed_mutex mutex_;
  Orphans orphans_;  // outlives `state_`, whose handles report to it
  std::unique_ptr<TpmState> state_;
  bool answered_ = false;  // on an earlier connection
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_
