#include "providers/tpm2/shared_tpm.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>

namespace device_key {
namespace {

// A thread that waits for another thread's command checks at this interval whether to stop waiting.
constexpr std::chrono::milliseconds kLockSlice{50};

}  // namespace

bool TpmState::Recover(TSS2_RC rc) {
  if (IsObjectMemory(rc)) {
    const bool evicted = !keys.empty();
    keys.EvictTo(0);
    return FlushLeftovers(connection) || evicted;
  }
  if (BareTpmCode(rc) == TPM2_RC_SUCCESS) return false;
  const bool keys_lost = keys.ForgetLost();
  const bool parents_lost = parents.ForgetLost();
  if (!connection.orphans().empty()) connection.orphans().Flush(connection);
  return keys_lost || parents_lost;
}

std::shared_ptr<SharedTpm> SharedTpm::For(const TctiSpec& spec) {
  struct Registry {
    std::mutex mutex;
    std::map<std::string, std::weak_ptr<SharedTpm>> tpms;
  };
  // Never destroyed, because a thread may still use a TPM while the process exits.
  static Registry& registry = *std::make_unique<Registry>().release();
  std::lock_guard lock(registry.mutex);
  std::weak_ptr<SharedTpm>& known = registry.tpms[spec.str()];
  std::shared_ptr<SharedTpm> tpm = known.lock();
  if (tpm == nullptr) {
    tpm = std::make_shared<SharedTpm>(spec);
    known = tpm;
  }
  return tpm;
}

std::unique_lock<std::timed_mutex> SharedTpm::Acquire(const OperationLimits& limits) {
  std::unique_lock lock(mutex_, std::defer_lock);
  do {
    if (limits.interrupt != nullptr && limits.interrupt->triggered()) {
      throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed during the operation");
    }
    const auto slice = std::chrono::steady_clock::now() + kLockSlice;
    if (lock.try_lock_until(std::min(slice, limits.deadline))) return lock;
  } while (std::chrono::steady_clock::now() < limits.deadline);
  throw DeviceKeyError(ErrorCode::kDeviceBusy,
                       "the TPM at " + spec_.conf +
                           " was busy with other requests of this process until the deadline; "
                           "try again");
}

TpmState& SharedTpm::Connected(const OperationLimits& limits) {
  if (state_ == nullptr) Connect();
  state_->connection.SetLimits(limits);
  if (!orphans_.empty()) orphans_.Flush(state_->connection);
  return *state_;
}

void SharedTpm::Connect() {
  try {
    state_ = std::make_unique<TpmState>(spec_, orphans_);
  } catch (const DeviceKeyError& error) {
    if (answered_) throw PassingError(error);
    throw;
  }
}

void SharedTpm::Drop() {
  if (state_ == nullptr) return;
  answered_ = answered_ || state_->connection.answered();
  const bool kernel_flushes = state_->connection.transport().has_resource_manager();
  state_.reset();
  if (kernel_flushes) orphans_.Clear();
}

}  // namespace device_key
