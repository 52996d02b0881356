#include "providers/tpm2/tpm_connection.h"

#include <chrono>

namespace device_key {
namespace {

// Flushing happens in destructors, which have no caller's limits to obey.
constexpr std::chrono::seconds kFlushTimeout{1};

}  // namespace

TpmConnection::TpmConnection(const TctiSpec& spec)
    : tss2_(Tss2Library::Get()), name_(spec.str()), transport_(TpmTransport::Open(spec)) {
  CheckTpm("set up tpm2-tss", tss2_.Esys_Initialize(&esys_, transport_->tcti(), nullptr));
  // Only transports that cannot wait by themselves read from the TPM in _Finish: there it must
  // block, since the alternative is to spin.
  tss2_.Esys_SetTimeout(esys_, TSS2_TCTI_TIMEOUT_BLOCK);
}

TpmConnection::~TpmConnection() { tss2_.Esys_Finalize(&esys_); }

void TpmConnection::AwaitResponse(const OperationLimits& limits) {
  failed_ = true;  // unless a response arrives
  transport_->AwaitResponse(limits);
  failed_ = false;
}

void TpmConnection::ThrowIfLost(TSS2_RC rc) {
  if (!IsConnectionFault(rc)) return;
  failed_ = true;
  throw ConnectionLost(
      ErrorCode::kHardwareUnavailable,
      "lost the connection to the TPM at " + name_ + ": " + tss2_.Tss2_RC_Decode(rc), rc);
}

void TpmHandle::Abandon() {
  if (handle_ == ESYS_TR_NONE) return;
  connection_->tss2().Esys_TR_Close(connection_->esys(), &handle_);
  handle_ = ESYS_TR_NONE;
}

void TpmHandle::Flush() {
  if (handle_ == ESYS_TR_NONE) return;
  const ESYS_TR handle = std::exchange(handle_, ESYS_TR_NONE);
  if (connection_->failed()) return;
  TpmConnection& connection = *connection_;
  try {
    connection.Run(
        {std::chrono::steady_clock::now() + kFlushTimeout},
        [&] { return connection.tss2().Esys_FlushContext_Async(connection.esys(), handle); },
        [&] { return connection.tss2().Esys_FlushContext_Finish(connection.esys()); });
  } catch (const DeviceKeyError&) {
    // The connection has failed: the kernel's resource manager flushes for us when it closes, and
    // a TPM that was reset has nothing left to flush.
  }
}

}  // namespace device_key
