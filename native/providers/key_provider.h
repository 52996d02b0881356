// The interface behind which each kind of secure hardware stands.
#ifndef DEVICE_KEY_PROVIDERS_KEY_PROVIDER_H_
#define DEVICE_KEY_PROVIDERS_KEY_PROVIDER_H_

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/sha256.h"
#include "platform/error.h"
#include "platform/operation_limits.h"
#include "protocol/key_id.h"

namespace device_key {

// Stands for what a key was made for (AuthValueOf): 32 characters of base64url. A provider whose
// hardware can (TPM 2.0: the authValue) ties the key to it, so that an edited record fails in the
// hardware. It is no secret.
using AuthValue = std::array<char, 32>;

// A freshly made key. `handle` is the provider's own JSON: it is kept in the key record and handed
// back unchanged.
struct ProviderKey {
  Bytes spki_der;
  nlohmann::json handle;
};

// Whether keys can be made, and if not, the error that Create would throw: its code, and a message
// that names the cause and the cure. `details` are facts for people and reports (`doctor`).
struct Availability {
  std::optional<DeviceKeyError> error;
  nlohmann::json details = nlohmann::json::object();
  bool available() const { return !error.has_value(); }
};

// What a provider says to prove where a key lives (remote attestation). The members are TPM 2.0
// structures, marshalled.
struct KeyAttestation {
  struct EndorsementKey {
    Bytes public_area;                 // TPMT_PUBLIC
    std::optional<Bytes> certificate;  // DER and what pads it; nullopt where the TPM holds none
  };
  Bytes attest;                       // TPMS_ATTEST
  Bytes signature;                    // TPMT_SIGNATURE
  Bytes key_public_area;              // TPMT_PUBLIC
  Bytes attestation_key_public_area;  // TPMT_PUBLIC
  std::vector<EndorsementKey> endorsement_keys;
};

// What a backend has encrypted for one TPM and one attestation key.
struct AttestationCredential {
  Bytes credential_blob;   // TPM2B_ID_OBJECT
  Bytes encrypted_secret;  // TPM2B_ENCRYPTED_SECRET
};

// One kind of hardware. Every call blocks for as long as the hardware takes, at most until
// `limits.deadline` (then it throws `device_timeout`); none may be made from an event loop. Calls
// may come from any thread, and from several at once: a provider serialises what its hardware
// needs serialised. All throw DeviceKeyError. Constructing a provider touches no hardware.
class KeyProvider {
 public:
  virtual ~KeyProvider() = default;

  // Stable name, as written into key records: "tpm2", "pkcs11", ...
  virtual std::string_view name() const = 0;
  virtual ProtectionClass protection_class() const = 0;

  // Whether keys live in a store of the hardware's or the OS's own, where one that was never
  // recorded would stay for good. Such keys are announced before they are made (PendingKeys).
  virtual bool keeps_keys() const { return false; }

  // Whether the other calls run code that comes neither with this package nor with the operating
  // system (PKCS#11 modules). It may write messages and files, so it is not run without need.
  virtual bool runs_foreign_code() const { return false; }

  // Whether the user has chosen this provider's device, in code or by the environment.
  virtual bool is_configured() const { return false; }

  // Finds out by asking the hardware, never by guessing from its presence. Does not throw for
  // hardware that is missing or broken; that is what the result says.
  virtual Availability Probe(const OperationLimits& limits) = 0;

  // Where Create would make a key now, as a handle for Delete; null for a provider that has one
  // place alone. Only for providers that keep keys: the place is part of the announcement.
  virtual nlohmann::json Locate([[maybe_unused]] const OperationLimits& limits) { return nullptr; }

  // As Create, in the place that Locate returned. Throws `token_missing` when that is gone.
  virtual ProviderKey CreateAt([[maybe_unused]] const nlohmann::json& place, const KeyId& id,
                               const AuthValue& auth, const OperationLimits& limits) {
    return Create(id, auth, limits);
  }

  // Makes a P-256 signing key that cannot leave the hardware and reads back the attributes that
  // make it so before returning.
  virtual ProviderKey Create(const KeyId& id, const AuthValue& auth,
                             const OperationLimits& limits) = 0;

  // The DER ECDSA signature of `digest`, not yet verified: DeviceKeyStore verifies every signature.
  virtual Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
                     const Sha256Digest& digest, const OperationLimits& limits) = 0;

  // Ties a key that is tied to `current` to `next` instead and returns its new handle. What
  // hardware cannot tie, the record alone does.
  virtual nlohmann::json Bind([[maybe_unused]] const KeyId& id, const nlohmann::json& handle,
                              [[maybe_unused]] const AuthValue& current,
                              [[maybe_unused]] const AuthValue& next,
                              [[maybe_unused]] const OperationLimits& limits) {
    return handle;
  }

  // Makes the key that signs attestations; its handle is kept by the caller. A provider that cannot
  // attest throws `attestation_unsupported`, as do the next two.
  virtual nlohmann::json CreateAttestationKey(const OperationLimits& limits);

  // Certifies the key with the attestation key. `challenge` has at most 64 bytes.
  virtual KeyAttestation Attest(const KeyId& id, const nlohmann::json& handle,
                                const AuthValue& auth, const nlohmann::json& attestation_key,
                                ByteView challenge, const OperationLimits& limits);

  // The secret in the credential. Throws `invalid_params` when it is not for this hardware and the
  // attestation key.
  virtual Bytes ActivateCredential(const nlohmann::json& attestation_key,
                                   const AttestationCredential& credential,
                                   const OperationLimits& limits);

  // Removes the key from the hardware's or the OS's store, if it lives there, and from any cache.
  // Succeeds when there is nothing left to remove. `handle` is the key's, or for a key that was
  // announced and never recorded what Locate returned; null means the provider's one place.
  virtual void Delete(const KeyId& id, const nlohmann::json& handle,
                      const OperationLimits& limits) = 0;

  // Forgets anything loaded for the key without touching the key itself. The store calls it after
  // a signature that did not verify, before its one second try: hardware without a resource
  // manager can hold another client's key where ours was loaded.
  virtual void Unload(const KeyId& id) = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_KEY_PROVIDER_H_
