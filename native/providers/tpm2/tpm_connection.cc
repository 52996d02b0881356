#include "providers/tpm2/tpm_connection.h"

#include <algorithm>
#include <chrono>

namespace device_key {
namespace {

// Destructors flush, and often no operation runs then.
constexpr std::chrono::seconds kFlushTimeout{1};

}  // namespace

TpmConnection::TpmConnection(const TctiSpec& spec, Orphans& orphans)
    : tss2_(Tss2Library::Get()), name_(spec.str()), orphans_(orphans), transport_(spec) {
  const size_t size = tss2_.Tss2_Sys_GetContextSize(0);
  memory_ = std::make_unique<std::byte[]>(size);
  sys_ = reinterpret_cast<TSS2_SYS_CONTEXT*>(memory_.get());
  TSS2_ABI_VERSION version = TSS2_ABI_VERSION_CURRENT;
  CheckTpm("set up tpm2-tss", tss2_.Tss2_Sys_Initialize(sys_, size, transport_.tcti(), &version));
}

TpmConnection::~TpmConnection() { tss2_.Tss2_Sys_Finalize(sys_); }

TSS2_RC TpmConnection::Execute(const OperationLimits& limits) {
  const TSS2_RC rc = tss2_.Tss2_Sys_ExecuteAsync(sys_);
  if (rc != TSS2_RC_SUCCESS) return rc;
  failed_ = true;  // unless a response arrives
  transport_.AwaitResponse(limits);
  failed_ = false;
  answered_ = true;
  return tss2_.Tss2_Sys_ExecuteFinish(sys_, TSS2_TCTI_TIMEOUT_BLOCK);
}

void TpmConnection::ThrowIfLost(TSS2_RC rc) {
  if (!IsConnectionFault(rc)) return;
  failed_ = true;
  throw ConnectionLost(
      ErrorCode::kHardwareUnavailable,
      "lost the connection to the TPM at " + name_ + ": " + tss2_.Tss2_RC_Decode(rc), rc);
}

bool TpmConnection::FlushObject(TPM2_HANDLE handle) noexcept {
  if (failed_) return false;
  auto deadline = std::chrono::steady_clock::now() + kFlushTimeout;
  if (limits_.deadline.time_since_epoch().count() != 0) {  // an operation runs
    deadline = std::min(deadline, limits_.deadline);
  }
  try {
    const TSS2_RC rc = RunWithin(
        {deadline}, [&] { return tss2_.Tss2_Sys_FlushContext_Prepare(sys_, handle); },
        [&] { return tss2_.Tss2_Sys_FlushContext_Complete(sys_); });
    return rc == TSS2_RC_SUCCESS;
  } catch (const DeviceKeyError&) {
    return false;  // the connection has failed
  }
}

TPM2_HANDLE TpmHandle::Release() {
  const TPM2_HANDLE handle = std::exchange(handle_, kNone);
  connection_->held_.erase(connection_->held_.find(handle));
  return handle;
}

void TpmHandle::Abandon() {
  if (handle_ == kNone) return;
  Release();
  connection_->orphans().Add(name_);
}

void TpmHandle::Flush() {
  if (handle_ == kNone) return;
  if (!connection_->FlushObject(Release())) connection_->orphans().Add(name_);
}

}  // namespace device_key
