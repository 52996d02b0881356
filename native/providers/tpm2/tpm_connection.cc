#include "providers/tpm2/tpm_connection.h"

#include <chrono>

namespace device_key {
namespace {

// Flushing happens in destructors, which have no caller's limits to obey.
constexpr std::chrono::seconds kFlushTimeout{1};

}  // namespace

TpmConnection::TpmConnection(const TctiSpec& spec)
    : tss2_(Tss2Library::Get()), name_(spec.str()), transport_(TpmTransport::Open(spec)) {
  const size_t size = tss2_.Tss2_Sys_GetContextSize(0);
  memory_ = std::make_unique<std::byte[]>(size);
  sys_ = reinterpret_cast<TSS2_SYS_CONTEXT*>(memory_.get());
  TSS2_ABI_VERSION version = TSS2_ABI_VERSION_CURRENT;
  CheckTpm("set up tpm2-tss", tss2_.Tss2_Sys_Initialize(sys_, size, transport_->tcti(), &version));
}

TpmConnection::~TpmConnection() { tss2_.Tss2_Sys_Finalize(sys_); }

TSS2_RC TpmConnection::Execute(const OperationLimits& limits) {
  const TSS2_RC rc = tss2_.Tss2_Sys_ExecuteAsync(sys_);
  if (rc != TSS2_RC_SUCCESS) return rc;
  failed_ = true;  // unless a response arrives
  transport_->AwaitResponse(limits);
  failed_ = false;
  // Blocks only on transports that cannot wait by themselves: the alternative is to spin.
  return tss2_.Tss2_Sys_ExecuteFinish(sys_, TSS2_TCTI_TIMEOUT_BLOCK);
}

void TpmConnection::ThrowIfLost(TSS2_RC rc) {
  if (!IsConnectionFault(rc)) return;
  failed_ = true;
  throw ConnectionLost(
      ErrorCode::kHardwareUnavailable,
      "lost the connection to the TPM at " + name_ + ": " + tss2_.Tss2_RC_Decode(rc), rc);
}

void TpmHandle::Flush() {
  if (handle_ == kNone) return;
  const TPM2_HANDLE handle = std::exchange(handle_, kNone);
  if (connection_->failed()) return;
  const Tss2Library& tss2 = connection_->tss2();
  TSS2_SYS_CONTEXT* sys = connection_->sys();
  try {
    connection_->Run(
        {std::chrono::steady_clock::now() + kFlushTimeout},
        [&] { return tss2.Tss2_Sys_FlushContext_Prepare(sys, handle); },
        [&] { return tss2.Tss2_Sys_FlushContext_Complete(sys); });
  } catch (const DeviceKeyError&) {
    // The connection has failed: the kernel's resource manager flushes for us when it closes, and
    // a TPM that was reset has nothing left to flush.
  }
}

}  // namespace device_key
