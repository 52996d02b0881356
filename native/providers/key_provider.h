// The interface to each kind of secure hardware.
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

// A digest of a key's binding (AuthValueOf): 32 characters of base64url. If the hardware supports
// it (TPM 2.0: the authValue), the provider ties the key to it, so that signing with an edited
// record fails in the hardware. It is not secret.
using AuthValue = std::array<char, 32>;

// A new key. `handle` is JSON that the provider defines. It is stored in the key record and passed
// back unchanged.
struct ProviderKey {
  Bytes spki_der;
  nlohmann::json handle;
};

// Whether keys can be made. If not: the error that Create would throw, with its code and a message
// that names the cause and the cure. `details` are facts for reports (`doctor`).
struct Availability {
  std::optional<DeviceKeyError> error;
  nlohmann::json details = nlohmann::json::object();
  bool available() const { return !error.has_value(); }
};

// A provider's proof of where a key is (remote attestation). The members are marshalled TPM 2.0
// structures.
struct KeyAttestation {
  struct EndorsementKey {
    Bytes public_area;                 // TPMT_PUBLIC
    std::optional<Bytes> certificate;  // DER with padding; nullopt if the TPM stores none
  };
  Bytes attest;                       // TPMS_ATTEST
  Bytes signature;                    // TPMT_SIGNATURE
  Bytes key_public_area;              // TPMT_PUBLIC
  Bytes attestation_key_public_area;  // TPMT_PUBLIC
  std::vector<EndorsementKey> endorsement_keys;
};

// A credential that a backend has encrypted for one TPM and one attestation key.
struct AttestationCredential {
  Bytes credential_blob;   // TPM2B_ID_OBJECT
  Bytes encrypted_secret;  // TPM2B_ENCRYPTED_SECRET
};

// One kind of hardware. Every call blocks while the hardware works, at most until `limits.deadline`
// (then it throws `device_timeout`); do not call from an event loop. Several threads may call at
// once: a provider serialises the calls that its hardware needs serialised. All calls throw
// DeviceKeyError. The constructor does not access hardware.
class KeyProvider {
 public:
  virtual ~KeyProvider() = default;

  // A stable name, which key records contain: "tpm2", "pkcs11", ...
  virtual std::string_view name() const = 0;
  virtual ProtectionClass protection_class() const = 0;

  // Whether keys are kept in a store of the hardware or the OS, where a key without a record would
  // remain forever. Such keys are announced before they are made (PendingKeys).
  virtual bool keeps_keys() const { return false; }

  // Whether the other calls run code that comes neither with this package nor with the operating
  // system (PKCS#11 modules). Such code may write messages and files, so it runs only when it is
  // needed.
  virtual bool runs_foreign_code() const { return false; }

  // Whether the user has chosen this provider's device, in code or with environment variables.
  virtual bool is_configured() const { return false; }

  // Asks the hardware; does not conclude anything from its presence. Does not throw if the hardware
  // is missing or broken: the result says so.
  virtual Availability Probe(const OperationLimits& limits) = 0;

  // Where Create would make a key now, as a handle for Delete; null for a provider with only one
  // place. Only for providers that keep keys: the announcement contains the place.
  virtual nlohmann::json Locate([[maybe_unused]] const OperationLimits& limits) { return nullptr; }

  // Like Create, in the place that Locate returned. Throws `token_missing` if that is gone.
  virtual ProviderKey CreateAt([[maybe_unused]] const nlohmann::json& place, const KeyId& id,
                               const AuthValue& auth, const OperationLimits& limits) {
    return Create(id, auth, limits);
  }

  // Makes a P-256 signing key that cannot leave the hardware. Before it returns, it reads back the
  // attributes that make the key non-exportable.
  virtual ProviderKey Create(const KeyId& id, const AuthValue& auth,
                             const OperationLimits& limits) = 0;

  // Returns the DER ECDSA signature of `digest`. DeviceKeyStore verifies every signature.
  virtual Bytes Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
                     const Sha256Digest& digest, const OperationLimits& limits) = 0;

  // Changes the binding of a key from `current` to `next` and returns its new handle. If the
  // hardware cannot bind keys, only the record has the binding.
  virtual nlohmann::json Bind([[maybe_unused]] const KeyId& id, const nlohmann::json& handle,
                              [[maybe_unused]] const AuthValue& current,
                              [[maybe_unused]] const AuthValue& next,
                              [[maybe_unused]] const OperationLimits& limits) {
    return handle;
  }

  // Makes the key that signs attestations and returns its handle. A provider that cannot attest
  // throws `attestation_unsupported`, as do the next two functions.
  virtual nlohmann::json CreateAttestationKey(const OperationLimits& limits);

  // Certifies the key with the attestation key. `challenge` has at most 64 bytes.
  virtual KeyAttestation Attest(const KeyId& id, const nlohmann::json& handle,
                                const AuthValue& auth, const nlohmann::json& attestation_key,
                                ByteView challenge, const OperationLimits& limits);

  // Returns the secret in the credential. Throws `invalid_params` if the credential is not for this
  // hardware and this attestation key.
  virtual Bytes ActivateCredential(const nlohmann::json& attestation_key,
                                   const AttestationCredential& credential,
                                   const OperationLimits& limits);

  // Removes the key from the store of the hardware or the OS, if it is there, and from any cache.
  // Succeeds if there is nothing to remove. `handle` is the key's handle. For a key that was
  // announced and never recorded it is the result of Locate; null means the provider's only place.
  virtual void Delete(const KeyId& id, const nlohmann::json& handle,
                      const OperationLimits& limits) = 0;

  // Drops everything that is loaded for the key, but not the key itself. Ignores errors.
  // DeviceKeyStore calls it after a signature that did not verify, before its single retry: without
  // a resource manager, another client's key can be at our key's handle.
  virtual void Unload(const KeyId& id, const OperationLimits& limits) = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_KEY_PROVIDER_H_
