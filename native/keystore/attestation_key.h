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
  // file that this version cannot read, and the errors of PrivateDirectory.
  std::optional<nlohmann::json> Read() const;

  // Stores `handle`, unless another process has stored one first. Returns the stored handle.
  nlohmann::json Write(const nlohmann::json& handle) const;

  // Removes the file of a key that its hardware has lost.
  void Remove(const OperationLimits& limits) const;

 private:
  const std::filesystem::path directory_;
  const std::string provider_;
  const std::string name_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_ATTESTATION_KEY_H_
