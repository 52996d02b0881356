// The key that signs attestations, in the directory of key records.
#ifndef DEVICE_KEY_KEYSTORE_ATTESTATION_KEY_H_
#define DEVICE_KEY_KEYSTORE_ATTESTATION_KEY_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "providers/key_provider.h"

namespace device_key {

// One file `attestation-key.<provider>.json` for each provider that attests. The key is made once:
// a backend that has pinned it recognises the machine. Thread-safe; several processes may use one
// directory.
class AttestationKeyFile {
 public:
  AttestationKeyFile(std::filesystem::path directory, const KeyProvider& provider);

  // The handle for the provider; nullopt when no key has been made. Throws `store_corrupt` for a
  // file that this code does not understand, and as PrivateDirectory does.
  std::optional<nlohmann::json> Read() const;

  // Keeps `handle`, unless another process was faster. Returns the handle that is kept.
  nlohmann::json Write(const nlohmann::json& handle) const;

  // Forgets a key that its hardware has lost.
  void Remove(const OperationLimits& limits) const;

 private:
  const std::filesystem::path directory_;
  const std::string provider_;
  const std::string name_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_ATTESTATION_KEY_H_
