#include "providers/tpm2/tpm_transport.h"

#include "providers/tpm2/descriptor_transport.h"
#include "providers/tpm2/tpm_status.h"
#include "providers/tpm2/tss2_library.h"

namespace device_key {
namespace {

// A TCTI that tpm2-tss brings: the access broker, the mssim simulator, a command.
class LoadedTransport : public TpmTransport {
 public:
  explicit LoadedTransport(const TctiSpec& spec) : loader_(Tss2TctiLoader::Get()) {
    const TSS2_RC rc = loader_.Tss2_TctiLdr_Initialize(spec.str().c_str(), &tcti_);
    if (rc != TSS2_RC_SUCCESS) {
      throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                           "could not reach a TPM through the TCTI \"" + spec.str() +
                               "\": check the name, that its library (libtss2-tcti-" + spec.name +
                               ") is installed and that what it connects to is running",
                           rc);
    }
  }
  ~LoadedTransport() override { loader_.Tss2_TctiLdr_Finalize(&tcti_); }
  LoadedTransport(const LoadedTransport&) = delete;
  LoadedTransport& operator=(const LoadedTransport&) = delete;

  TSS2_TCTI_CONTEXT* tcti() override { return tcti_; }
  void AwaitResponse(const OperationLimits&) override {}

 private:
  const Tss2TctiLoader& loader_;
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
};

}  // namespace

std::unique_ptr<TpmTransport> TpmTransport::Open(const TctiSpec& spec) {
  if (spec.name == "device") return OpenDeviceTransport(spec.conf);
  if (spec.name == "swtpm") return OpenSwtpmTransport(spec.conf);
  return std::make_unique<LoadedTransport>(spec);
}

}  // namespace device_key
