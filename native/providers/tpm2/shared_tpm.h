// One TPM as this process sees it: shared by all stores, used by one thread at a time.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_
#define DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_

#include <memory>
#include <mutex>

#include "providers/tpm2/loaded_keys.h"
#include "providers/tpm2/storage_parent.h"

namespace device_key {

// What exists because we are connected. Goes down keys first, so that each flushes itself.
struct TpmState {
  explicit TpmState(const TctiSpec& spec)
      : connection(spec), parents(connection, /*keep_loaded=*/!spec.has_resource_manager()) {}

  // On a TPM without a resource manager, a reset or another client may have put something else, or
  // nothing, where our objects were. Forgets those; whether there were any.
  bool ForgetLost(const OperationLimits& limits) {
    const bool keys_lost = keys.ForgetLost(connection, limits);
    return parents.ForgetLost(limits) || keys_lost;
  }

  // What stays in the TPM when the connection is lost.
  ObjectNames LoadedNames() const {
    ObjectNames names = being_loaded;
    keys.AddNames(names);
    parents.AddNames(names);
    return names;
  }

  TpmConnection connection;
  StorageParents parents;
  LoadedKeys keys;
  ObjectNames being_loaded;  // by a command whose answer may never reach us
};

class SharedTpm {
 public:
  // The process's one object for `spec`. It lives, and stays connected, as long as somebody keeps
  // it: a TPM without a resource manager serves one connection and has three slots.
  static std::shared_ptr<SharedTpm> For(const TctiSpec& spec);

  explicit SharedTpm(TctiSpec spec) : spec_(std::move(spec)) {}

  // Calls `work(TpmState&)` on a live connection, alone. When the connection is lost on the way
  // (the TPM was restarted), makes a new one and calls `work` once more. Throws `device_busy` when
  // other threads kept the TPM until the deadline, what opening a connection throws, and what
  // `work` throws.
  template <class Work>
  auto Use(const OperationLimits& limits, Work work) {
    const std::unique_lock lock = Acquire(limits);
    const DropFailedState drop{*this};
    try {
      return work(Connected(limits));
    } catch (const ConnectionLost&) {
      Drop();
    }
    return work(Connected(limits));
  }

  // Calls `work` only when there is a connection already; for what dies with one anyway.
  template <class Work>
  void UseIfConnected(const OperationLimits& limits, Work work) {
    const std::unique_lock lock = Acquire(limits);
    const DropFailedState drop{*this};
    if (state_ != nullptr) work(*state_);
  }

 private:
  // A failed connection's socket is closed at once, not at the next use.
  struct DropFailedState {
    SharedTpm& tpm;
    ~DropFailedState() {
      if (tpm.state_ != nullptr && tpm.state_->connection.failed()) tpm.Drop();
    }
  };

  std::unique_lock<std::timed_mutex> Acquire(const OperationLimits& limits);
  TpmState& Connected(const OperationLimits& limits);
  void Drop();

  const TctiSpec spec_;
  std::timed_mutex mutex_;
  std::unique_ptr<TpmState> state_;
  ObjectNames orphans_;  // of connections that were lost
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_SHARED_TPM_H_
