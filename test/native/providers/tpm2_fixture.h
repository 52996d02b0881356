// A separate software TPM for each test, and providers that use it.
#ifndef DEVICE_KEY_TEST_PROVIDERS_TPM2_FIXTURE_H_
#define DEVICE_KEY_TEST_PROVIDERS_TPM2_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <memory>
#include <string>

#include "crypto/p256.h"
#include "keystore/key_binding.h"
#include "platform/expect_error.h"
#include "providers/tpm2/tpm2_provider.h"
#include "support/swtpm.h"

namespace device_key {

inline OperationLimits Within(std::chrono::milliseconds time,
                              const Interrupt* interrupt = nullptr) {
  return {std::chrono::steady_clock::now() + time, interrupt};
}

// Longer than any operation here takes on a loaded machine.
inline OperationLimits Soon() { return Within(std::chrono::seconds(30)); }

inline std::unique_ptr<Tpm2Provider> ProviderAt(const std::string& tcti) {
  return std::make_unique<Tpm2Provider>(Tpm2Options{.tcti = tcti, .allow_simulator = true});
}

// A key and the contents of its record.
struct TestKey {
  KeyId id = KeyId::Generate(ProtectionClass::kHardwareTpm);
  AccountBinding binding{"account-1", "client-1"};
  ProviderKey key;

  AuthValue auth() const { return AuthValueOf(binding); }

  std::string pem() const { return key.handle.at("tss2PrivateKey"); }
};

inline TestKey CreateKey(KeyProvider& provider,
                         AccountBinding binding = {"account-1", "client-1"}) {
  TestKey key{.binding = std::move(binding), .key = {}};
  key.key = provider.Create(key.id, key.auth(), Soon());
  return key;
}

inline Sha256Digest DigestOf(const std::string& message) { return Sha256(AsBytes(message)); }

inline Bytes Sign(KeyProvider& provider, const TestKey& key, const std::string& message = "message",
                  const OperationLimits& limits = Soon()) {
  return provider.Sign(key.id, key.key.handle, key.auth(), DigestOf(message), limits);
}

inline bool Verifies(const TestKey& key, const std::string& message, ByteView signature) {
  return P256PublicKey::FromSpki(key.key.spki_der).Verify(DigestOf(message), signature);
}

// Signs, and verifies the signature as DeviceKeyStore does.
inline bool SignsRightly(KeyProvider& provider, const TestKey& key,
                         const std::string& message = "message") {
  return Verifies(key, message, Sign(provider, key, message));
}

class Tpm2Test : public ::testing::Test {
 protected:
  std::unique_ptr<Tpm2Provider> NewProvider() const { return ProviderAt(tpm_.tcti()); }

  // The TPM owner's actions, with other software while we are not connected.
  void MakePersistentSrk(const std::string& how = "-G ecc") const {
    const std::string context = tpm_.socket_path() + ".srk";
    tpm_.Tool("tpm2_createprimary -Q -C o " + how + " -c " + context +
              " && tpm2_evictcontrol -Q -C o -c " + context +
              " 0x81000001 && tpm2_flushcontext -t");
  }

  testing::SoftwareTpm tpm_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PROVIDERS_TPM2_FIXTURE_H_
