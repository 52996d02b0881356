// Calls rules, records, providers and verification in the right order.
#ifndef DEVICE_KEY_KEYSTORE_DEVICE_KEY_STORE_H_
#define DEVICE_KEY_KEYSTORE_DEVICE_KEY_STORE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crypto/sha256.h"
#include "keystore/pending_keys.h"
#include "keystore/provider_set.h"
#include "keystore/record_store.h"
#include "protocol/target_policy.h"
#include "protocol/types.h"
#include "providers/key_provider.h"

namespace device_key {

// Unix seconds, by the system's clock.
int64_t SystemUnixSeconds();

struct StoreOptions {
  std::filesystem::path directory;
  TargetPolicy targets = TargetPolicy::Default();
  std::function<int64_t()> now = SystemUnixSeconds;  // Unix seconds; called from any thread
};

// A payload that has passed every rule except those about its key.
struct PreparedSignature {
  KeyId key_id;
  SignPayload payload;
  std::string signed_bytes;
  Sha256Digest digest;
};

// Every call except Prepare waits for the disk and for hardware (OperationLimits), so do not call
// them from an event loop. Thread-safe; it starts no threads. All
// throw DeviceKeyError. Constructing it touches neither disk nor hardware.
class DeviceKeyStore {
 public:
  // `providers` in order of preference; hardware is always first.
  DeviceKeyStore(StoreOptions options, std::vector<std::shared_ptr<KeyProvider>> providers);

  // Makes a key under the policy's rules (ProviderSet::Create) and records it. `params` must
  // have passed CheckCreateParams. `commit` is called once, when the key exists and is about to be
  // recorded; if it returns false, because the caller has given up, this throws `canceled`. If this
  // throws, no key is left behind.
  CreateResponse Create(const CreateParams& params, const OperationLimits& limits,
                        const std::function<bool()>& commit);

  // As Create, but the key has no account and client until the first enrollment payload that it
  // signs gives it both, permanently. Until then it signs nothing else.
  CreateResponse CreateUnbound(const CreateUnboundParams& params, const OperationLimits& limits,
                               const std::function<bool()>& commit);

  // As Create, but the key signs only DPoP proofs, for one OAuth client and these origins.
  CreateResponse CreateDpopKey(const CreateDpopKeyParams& params, const OperationLimits& limits,
                               const std::function<bool()>& commit);

  // Needs only the record, no hardware. Throws `key_not_found`.
  PublicResponse Public(const KeyId& key_id);

  // Checks the payload's rules and forms the bytes to sign. Does no I/O and takes microseconds.
  // Call it on the calling thread, so that a bad payload is refused before the request waits.
  // Throws `invalid_payload`.
  PreparedSignature Prepare(SignParams params) const;

  // Signs the result of Prepare. The payload must be for the account and client that the key was
  // enrolled for, and must not have expired in a queue. A key for DPoP proofs is refused with
  // `binding_mismatch`. The signature is verified with the recorded public key. Throws
  // `key_not_found`, `binding_mismatch`, `invalid_payload`, the provider's errors, and
  // `crypto_error` when hardware signs wrongly twice.
  SignResponse Sign(const PreparedSignature& prepared, const OperationLimits& limits);

  // A DPoP proof (RFC 9449), made at the time of this call, as a JWS in its compact serialisation.
  // Throws as Sign, and `invalid_params`; `binding_mismatch` for another origin than the key's.
  std::string SignDpop(const SignDpopParams& params, const OperationLimits& limits);

  // Has the key's hardware certify, with the backend's challenge, that the key is in it. Makes the
  // attestation key when there is none. Throws `key_not_found`, `attestation_unsupported` and the
  // provider's errors.
  KeyAttestation Attest(const AttestParams& params, const OperationLimits& limits);

  // Decrypts the secret of the credential that a backend has made from an attestation of this key.
  // Throws as Attest, and `invalid_params` when the credential is for other hardware or another
  // attestation key.
  Bytes ActivateAttestation(const ActivateAttestationParams& params, const OperationLimits& limits);

  // Deletes the key first and then its record, so that the call can be repeated after a failure.
  // Throws `key_not_found`, and `hardware_unavailable` when this machine does not have the key's
  // provider: the record stays, because it may be the only reference to a key in another store.
  void Delete(const KeyId& key_id, const OperationLimits& limits);

  // Every key of this store, and every record that cannot be read.
  std::vector<ListedKey> List();

  // ProviderSet::Support, and the state of the store:
  //   "store":{"directory":"/...","available":true,"code":null,"message":null}
  // The directory may hold bytes that are not UTF-8: dump the JSON with error_handler_t::replace.
  nlohmann::ordered_json Support(const OperationLimits& limits,
                                 ProviderSet::Ask ask = ProviderSet::Ask::kNeeded);

 private:
  CreateResponse Make(ProtectionPolicy policy, const KeyBinding& binding,
                      const OperationLimits& limits, const std::function<bool()>& commit);
  SignResponse SignWithKey(const PreparedSignature& prepared, const OperationLimits& limits);
  std::string SignDpopWithKey(const SignDpopParams& params, const OperationLimits& limits);
  Bytes SignDigest(const StoredKey& key, const Sha256Digest& digest, const OperationLimits& limits);
  void ExpectNotDeleted(const KeyId& key_id);
  std::shared_ptr<const StoredKey> Enroll(const KeyRecord& unbound, const SignPayload& payload,
                                          const OperationLimits& limits);
  KeyProvider& ProviderOf(const KeyRecord& record) const;

  const StoreOptions options_;
  const ProviderSet providers_;
  RecordStore records_;
  PendingKeys pending_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_DEVICE_KEY_STORE_H_
