#include "providers/tpm2/tpm_connection.h"

#include <array>
#include <chrono>

#include "providers/tpm2/wire.h"

namespace device_key {
namespace {

// Flushing happens in destructors, which have no caller's limits to obey.
constexpr std::chrono::seconds kFlushTimeout{1};

OperationLimits FlushLimits() { return {std::chrono::steady_clock::now() + kFlushTimeout}; }

// How often a command is sent while the TPM answers that it should be sent again. As in ESYS.
constexpr int kMaxSubmissions = 5;

bool WantsItAgain(TSS2_RC rc) {
  return rc == TPM2_RC_RETRY || rc == TPM2_RC_YIELDED || rc == TPM2_RC_TESTING;
}

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

TSS2_RC TpmConnection::Exchange(const Bytes& command, const OperationLimits& limits,
                                Bytes& response) {
  TSS2_TCTI_CONTEXT* const tcti = transport_->tcti();
  const auto transmit = [&] { return Tss2_Tcti_Transmit(tcti, command.size(), command.data()); };
  int submissions = 1;
  return Run(limits, transmit, [&]() -> TSS2_RC {
    std::array<uint8_t, TPM2_MAX_RESPONSE_SIZE> received;
    size_t size = received.size();
    const TSS2_RC failure =
        Tss2_Tcti_Receive(tcti, &size, received.data(), TSS2_TCTI_TIMEOUT_BLOCK);
    if (failure != TSS2_RC_SUCCESS) return failure;
    WireReader reader(ByteView(received).first(size));
    reader.U16();  // the tag, which follows from the command
    reader.U32();  // the size, which the transport has seen to
    const TSS2_RC rc = reader.U32();
    if (!reader.ok()) return TSS2_ESYS_RC_MALFORMED_RESPONSE;
    if (WantsItAgain(rc) && submissions++ < kMaxSubmissions) {
      const TSS2_RC sent = transmit();
      return sent == TSS2_RC_SUCCESS ? TSS2_ESYS_RC_TRY_AGAIN : sent;
    }
    constexpr size_t kHeaderSize = 10;
    response.assign(received.begin() + kHeaderSize, received.begin() + size);
    return rc;
  });
}

void TpmConnection::Flush(TPM2_HANDLE handle) {
  if (failed_) return;
  try {
    WireWriter command;
    command.Header(TPM2_ST_NO_SESSIONS, TPM2_CC_FlushContext).U32(handle);
    Bytes response;
    Exchange(command.Command(), FlushLimits(), response);
  } catch (const DeviceKeyError&) {
    // As in TpmHandle::Flush.
  }
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
        FlushLimits(),
        [&] { return connection.tss2().Esys_FlushContext_Async(connection.esys(), handle); },
        [&] { return connection.tss2().Esys_FlushContext_Finish(connection.esys()); });
  } catch (const DeviceKeyError&) {
    // The connection has failed: the kernel's resource manager flushes for us when it closes, and
    // a TPM that was reset has nothing left to flush.
  }
}

}  // namespace device_key
