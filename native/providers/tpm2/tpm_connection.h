// A SAPI context on a transport, and the handles that live in the TPM because of it.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "providers/tpm2/tpm_status.h"
#include "providers/tpm2/tpm_transport.h"
#include "providers/tpm2/tss2_library.h"

namespace device_key {

// Once it has failed, a connection is of no more use: a late response would be taken for the next
// one. Its owner makes a new one. Used by one thread at a time.
class TpmConnection {
 public:
  // Throws what TpmTransport::Open and Tss2Library::Get throw.
  explicit TpmConnection(const TctiSpec& spec);
  ~TpmConnection();
  TpmConnection(const TpmConnection&) = delete;
  TpmConnection& operator=(const TpmConnection&) = delete;

  const Tss2Library& tss2() const { return tss2_; }
  TSS2_SYS_CONTEXT* sys() const { return sys_; }
  bool failed() const { return failed_; }

  // Runs one TPM command: `prepare` calls a Tss2_Sys_*_Prepare function and sets the command's
  // authorizations, `complete` calls the _Complete function; both return a code. The wait between
  // them obeys `limits`. Returns what the TPM answered; throws ConnectionLost, `device_timeout` or
  // `closed`.
  template <class Prepare, class Complete>
  TSS2_RC Run(const OperationLimits& limits, Prepare prepare, Complete complete) {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    int submissions = 0;
    do {
      rc = prepare();
      if (rc == TSS2_RC_SUCCESS) rc = Execute(limits);
    } while (WantsItAgain(rc) && ++submissions < kMaxSubmissions);
    if (rc == TSS2_RC_SUCCESS) rc = complete();
    ThrowIfLost(rc);
    return rc;
  }

 private:
  // How often a command is sent while the TPM asks for that. As often as ESYS does it.
  static constexpr int kMaxSubmissions = 5;

  TSS2_RC Execute(const OperationLimits& limits);
  void ThrowIfLost(TSS2_RC rc);

  const Tss2Library& tss2_;
  const std::string name_;
  std::unique_ptr<TpmTransport> transport_;
  std::unique_ptr<std::byte[]> memory_;
  TSS2_SYS_CONTEXT* sys_ = nullptr;  // in `memory_`
  bool failed_ = false;
};

// A transient object or a session in the TPM, flushed when this goes out of scope: a TPM without a
// resource manager has three slots of each. Must not outlive its connection.
class TpmHandle {
 public:
  TpmHandle() = default;
  TpmHandle(TpmConnection& connection, TPM2_HANDLE handle)
      : connection_(&connection), handle_(handle) {}
  TpmHandle(TpmHandle&& other) noexcept
      : connection_(other.connection_), handle_(std::exchange(other.handle_, kNone)) {}
  TpmHandle& operator=(TpmHandle&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~TpmHandle() { Flush(); }

  TPM2_HANDLE get() const { return handle_; }
  explicit operator bool() const { return handle_ != kNone; }

  // Forgets the handle without a word to the TPM: what it named is gone, and its number may by now
  // name another client's object, which is not ours to flush.
  void Abandon() { handle_ = kNone; }

 private:
  static constexpr TPM2_HANDLE kNone = TPM2_RH_UNASSIGNED;

  void Flush();

  TpmConnection* connection_ = nullptr;
  TPM2_HANDLE handle_ = kNone;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_CONNECTION_H_
