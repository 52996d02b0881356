#include "providers/key_provider.h"

namespace device_key {
namespace {

[[noreturn]] void ThrowUnsupported(const KeyProvider& provider) {
  throw DeviceKeyError(ErrorCode::kAttestationUnsupported,
                       "keys of the provider \"" + std::string(provider.name()) +
                           "\" cannot be attested; keys in a TPM 2.0 on Linux can");
}

}  // namespace

nlohmann::json KeyProvider::CreateAttestationKey(const OperationLimits&) {
  ThrowUnsupported(*this);
}

KeyAttestation KeyProvider::Attest(const KeyId&, const nlohmann::json&, const AuthValue&,
                                   const nlohmann::json&, ByteView, const OperationLimits&) {
  ThrowUnsupported(*this);
}

Bytes KeyProvider::ActivateCredential(const nlohmann::json&, const AttestationCredential&,
                                      const OperationLimits&) {
  ThrowUnsupported(*this);
}

}  // namespace device_key
