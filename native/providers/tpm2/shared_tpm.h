// One TPM as this process sees it: shared by all stores, used by one thread at a time.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_
#define DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_

#include <memory>
#include <mutex>
#include <utility>

#include "providers/tpm2/loaded_keys.h"
#include "providers/tpm2/storage_parent.h"

namespace device_key {

// What exists because we are connected. Destroyed in reverse order, so that the handles flush
// themselves before the connection closes.
struct TpmState {
  TpmState(const TctiSpec& spec, Orphans& orphans)
      : connection(spec, orphans), parents(connection), keys(connection) {}

  // Makes room or order in the TPM after a command was answered with `rc`. Returns whether anything
  // was changed, so that trying again makes sense:
  // - slots are full: our own keys give theirs up, and leftovers of dead processes are flushed;
  // - a reset or another client put something else, or nothing, where our objects were: those are
  //   forgotten and loaded again when they are needed.
  bool Recover(TSS2_RC rc);

  TpmConnection connection;
  StorageParents parents;
  LoadedKeys keys;
};

class SharedTpm {
 public:
  // The process's one object for `spec`. It lives, and stays connected, as long as a caller keeps
  // it: a TPM without a resource manager serves one connection and has three slots.
  static std::shared_ptr<SharedTpm> For(const TctiSpec& spec);

  explicit SharedTpm(TctiSpec spec) : spec_(std::move(spec)) {}

  // Calls `work(TpmState&)` on a live connection, alone and within `limits`. When the connection is
  // lost (the TPM was restarted), makes a new one and calls `work` once more. Throws `device_busy`
  // when other threads kept the TPM until the deadline, what opening a connection throws, and what
  // `work` throws. Once the TPM has answered, a connection that is lost again or cannot be opened
  // again is a PassingError: a disturbed TPM must not put a new key into a weaker store.
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

  // Calls `work` only when there is a connection already.
  template <class Work>
  void UseIfConnected(const OperationLimits& limits, Work work) {
    const std::unique_lock lock = Acquire(limits);
    const EndOfUse end{*this};
    if (state_ != nullptr) work(Connected(limits));
  }

 private:
  // Closes a failed connection at once, not at the next use. Takes the operation's limits back.
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
  bool answered_ = false;  // on a connection that is closed by now
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_
