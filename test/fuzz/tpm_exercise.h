// The operations that tpm_answers_fuzz calls; record_tpm_answers calls the same with a real TPM.
#ifndef DEVICE_KEY_FUZZ_TPM_EXERCISE_H_
#define DEVICE_KEY_FUZZ_TPM_EXERCISE_H_

#include <chrono>
#include <optional>
#include <string>

#include "crypto/p256.h"
#include "keystore/key_binding.h"
#include "platform/error.h"
#include "providers/tpm2/tpm2_provider.h"

namespace device_key {

// Calls every kind of operation once. Each may throw a DeviceKeyError with any code, but no other
// exception.
inline void ExerciseTpm(const std::string& tcti) {
  Tpm2Provider provider(
      {.tcti = tcti, .allow_simulator = true, .environment = Environment::None()});
  const KeyId id = *KeyId::Parse("dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA");
  const AuthValue unbound = AuthValueOf(AccountBinding{});
  const AuthValue bound = AuthValueOf(AccountBinding{"account-1", "client-1"});
  const OperationLimits limits{std::chrono::steady_clock::now() + std::chrono::seconds(10)};
  const auto attempt = [](auto work) {
    try {
      work();
    } catch (const DeviceKeyError&) {
    }
  };
  provider.Probe(limits);
  std::optional<ProviderKey> key;
  attempt([&] { key = provider.Create(id, unbound, limits); });
  if (!key) return;
  // Create returns a key that a record can store and DeviceKeyStore can verify with.
  const P256PublicKey public_key = P256PublicKey::FromSpki(key->spki_der);
  const Sha256Digest digest = Sha256(AsBytes("message"));
  attempt(
      [&] { public_key.Verify(digest, provider.Sign(id, key->handle, unbound, digest, limits)); });
  attempt([&] { key->handle = provider.Bind(id, key->handle, unbound, bound, limits); });
  attempt([&] { provider.Sign(id, key->handle, bound, digest, limits); });
  provider.Unload(id, limits);
  attempt([&] { provider.Sign(id, key->handle, bound, digest, limits); });
  attempt([&] {
    const nlohmann::json attestation_key = provider.CreateAttestationKey(limits);
    attempt(
        [&] { provider.Attest(id, key->handle, bound, attestation_key, Bytes(32, 0x5A), limits); });
    // Well-formed for a P-256 endorsement key.
    attempt([&] {
      Bytes encrypted_secret{0, 68};
      encrypted_secret.resize(2 + 68, 0x11);
      Bytes credential_blob{0, 68};
      credential_blob.resize(2 + 68, 0x22);
      provider.ActivateCredential(attestation_key, {credential_blob, encrypted_secret}, limits);
    });
  });
  attempt([&] { provider.Delete(id, key->handle, limits); });
}

}  // namespace device_key

#endif  // DEVICE_KEY_FUZZ_TPM_EXERCISE_H_
