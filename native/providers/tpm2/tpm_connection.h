// An ESYS context on a transport, and the handles that live in the TPM because of it.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_

#include <memory>
#include <string>
#include <utility>

#include "crypto/bytes.h"
#include "providers/tpm2/tpm_status.h"
#include "providers/tpm2/tpm_transport.h"
#include "providers/tpm2/tss2_library.h"

namespace device_key {

// Once it has failed, a connection is of no more use: ESYS keeps answering 0x70007 and a late
// response would be taken for the next one. Its owner makes a new one. Used by one thread at a
// time.
class TpmConnection {
 public:
  // Throws what TpmTransport::Open and Tss2Library::Get throw.
  explicit TpmConnection(const TctiSpec& spec);
  ~TpmConnection();
  TpmConnection(const TpmConnection&) = delete;
  TpmConnection& operator=(const TpmConnection&) = delete;

  const Tss2Library& tss2() const { return tss2_; }
  ESYS_CONTEXT* esys() const { return esys_; }
  bool failed() const { return failed_; }

  // Runs one TPM command: `start` calls an Esys_*_Async function, `finish` its _Finish; both
  // return its code. The wait between them obeys `limits`. Returns what the TPM answered; throws
  // ConnectionLost, `device_timeout` or `closed`.
  template <class Start, class Finish>
  TSS2_RC Run(const OperationLimits& limits, Start start, Finish finish) {
    TSS2_RC rc = start();
    if (rc == TSS2_RC_SUCCESS) {
      do {  // ESYS sends a command again when the TPM says so (TPM_RC_RETRY, TPM_RC_YIELDED)
        AwaitResponse(limits);
        rc = finish();
      } while (rc == TSS2_ESYS_RC_TRY_AGAIN);
    }
    ThrowIfLost(rc);
    return rc;
  }

  // Runs one TPM command around ESYS. `command` is the whole of it; on success `response` is what
  // follows the response's header. Returns and throws as Run.
  TSS2_RC Exchange(const Bytes& command, const OperationLimits& limits, Bytes& response);

  // TPM2_FlushContext of what ESYS does not know; for destructors, so it does not throw.
  void Flush(TPM2_HANDLE handle);

 private:
  void AwaitResponse(const OperationLimits& limits);
  void ThrowIfLost(TSS2_RC rc);

  const Tss2Library& tss2_;
  const std::string name_;
  std::unique_ptr<TpmTransport> transport_;
  ESYS_CONTEXT* esys_ = nullptr;
  bool failed_ = false;
};

// A transient object or a session in the TPM, flushed when this goes out of scope: a TPM without a
// resource manager has three slots of each. Must not outlive its connection.
class TpmHandle {
 public:
  TpmHandle() = default;
  TpmHandle(TpmConnection& connection, ESYS_TR handle)
      : connection_(&connection), handle_(handle) {}
  TpmHandle(TpmHandle&& other) noexcept
      : connection_(other.connection_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)) {}
  TpmHandle& operator=(TpmHandle&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~TpmHandle() { Flush(); }

  ESYS_TR get() const { return handle_; }
  explicit operator bool() const { return handle_ != ESYS_TR_NONE; }

  // Forgets the handle without a word to the TPM: what it named is gone, and its number may by now
  // name another client's object, which is not ours to flush.
  void Abandon();

 private:
  void Flush();

  TpmConnection* connection_ = nullptr;
  ESYS_TR handle_ = ESYS_TR_NONE;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_
