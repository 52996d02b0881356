// Providers without hardware: one that works, one that fails, and one that signs with the wrong
// key.
#ifndef DEVICE_KEY_TEST_KEYSTORE_TEST_PROVIDERS_H_
#define DEVICE_KEY_TEST_KEYSTORE_TEST_PROVIDERS_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "crypto/openssl.h"
#include "providers/key_provider.h"

namespace device_key {

inline OperationLimits NoHurry() {
  return {.deadline = std::chrono::steady_clock::now() + std::chrono::hours(1)};
}

// Keeps real P-256 keys in memory and signs with them.
class SoftwareProvider : public KeyProvider {
 public:
  explicit SoftwareProvider(ProtectionClass protection_class = ProtectionClass::kHardwareTpm,
                            std::string name = "software")
      : name_(std::move(name)), class_(protection_class) {}

  std::string_view name() const override { return name_; }
  ProtectionClass protection_class() const override { return class_; }
  Availability Probe(const OperationLimits& limits) override;
  ProviderKey Create(const KeyId& id, const AuthValue& auth,
                     const OperationLimits& limits) override;
  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  nlohmann::json Bind(const KeyId& id, const nlohmann::json& handle, const AuthValue& current,
                      const AuthValue& next, const OperationLimits& limits) override;
  void Delete(const KeyId& id, const nlohmann::json& handle,
              const OperationLimits& limits) override;
  void Unload(const KeyId& id, const OperationLimits& limits) override;

  size_t keys() const;  // existing keys

  // Seen by the tests.
  std::atomic<int> probes = 0;
  std::atomic<int> creations = 0;
  std::atomic<int> signatures = 0;
  std::atomic<int> unloads = 0;
  std::atomic<int> bindings = 0;
  std::function<void()> on_delete;
  std::function<void()> after_bind;  // runs once, before Bind returns

 private:
  const std::string name_;
  const ProtectionClass class_;
  mutable std::mutex mutex_;
  std::map<std::string, ScopedEvpPkey> keys_;
};

// Fails every call with one error.
class FailingProvider : public KeyProvider {
 public:
  FailingProvider(ErrorCode code, std::string message,
                  ProtectionClass protection_class = ProtectionClass::kHardwareTpm,
                  std::string name = "failing")
      : name_(std::move(name)), class_(protection_class), error_(code, message) {}

  std::string_view name() const override { return name_; }
  ProtectionClass protection_class() const override { return class_; }
  Availability Probe(const OperationLimits&) override { return {.error = error_}; }
  ProviderKey Create(const KeyId&, const AuthValue&, const OperationLimits&) override {
    throw error_;
  }
  Bytes Sign(const KeyId&, const nlohmann::json&, const AuthValue&, const Sha256Digest&,
             const OperationLimits&) override {
    throw error_;
  }
  void Delete(const KeyId&, const nlohmann::json&, const OperationLimits&) override {
    throw error_;
  }
  void Unload(const KeyId&, const OperationLimits&) override {}

 private:
  const std::string name_;
  const ProtectionClass class_;
  const DeviceKeyError error_;
};

// Signs with the wrong key until it has been unloaded often enough, like a TPM in which another
// client's key is at our key's handle.
// slot another client's key lies.
class WrongKeyProvider : public SoftwareProvider {
 public:
  explicit WrongKeyProvider(int unloads_until_correct) : remaining_(unloads_until_correct) {}

  Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
             const Sha256Digest& digest, const OperationLimits& limits) override;
  void Unload(const KeyId& id, const OperationLimits& limits) override;

 private:
  int remaining_;
};

// A new P-256 key, its SPKI, and its signatures.
ScopedEvpPkey NewSoftwareKey();
Bytes SpkiOf(EVP_PKEY* key);
Bytes SignWith(EVP_PKEY* key, const Sha256Digest& digest);

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_KEYSTORE_TEST_PROVIDERS_H_
