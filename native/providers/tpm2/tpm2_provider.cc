#include "providers/tpm2/tpm2_provider.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crypto/p256.h"
#include "providers/tpm2/attestation_commands.h"
#include "providers/tpm2/key_handle.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/tpm_commands.h"
#include "providers/tpm2/tpm_properties.h"

namespace device_key {
namespace {

// The longest time that a TPM that hangs delays the removal of a key's record.
constexpr std::chrono::seconds kDeleteTimeout{5};

TctiSpec ResolveTcti(const Tpm2Options& options) {
  if (options.tcti.has_value()) return TctiSpec::Parse(*options.tcti);
  if (const std::optional<std::string> variable = options.environment.Get("DEVICE_KEY_TCTI")) {
    return TctiSpec::Parse(*variable, "DEVICE_KEY_TCTI");
  }
  return TctiSpec::Parse(kDefaultTcti);
}

bool ResolveAllowSimulator(const Tpm2Options& options) {
  if (options.allow_simulator.has_value()) return *options.allow_simulator;
  return options.environment.Get("DEVICE_KEY_ALLOW_SIMULATOR") == "1";
}

// Calls `work`. If it fails and TpmState::Recover changes something, calls it once more.
template <class Work>
decltype(auto) Recovering(TpmState& state, Work work) {
  try {
    return work();
  } catch (const DeviceKeyError& error) {
    if (!state.Recover(error.platform_status().value_or(TSS2_RC_SUCCESS))) throw;
  }
  return work();
}

LoadedKey& LoadBelow(const StorageParents::Lease& parent, TpmState& state, const KeyId& id,
                     const TpmKeyBlob& blob) {
  Bytes name = NameOf(blob.public_area);
  TpmHandle handle = LoadKey(state.connection, parent.handle(), blob, name);
  return state.keys.Insert({id.str(), std::move(name), std::move(handle), false, nullptr});
}

// Loads a key that the TPM has just made or changed, to be sure that it can be loaded after a
// restart. LoadKey compares its name.
void LoadNew(const StorageParents::Lease& parent, TpmState& state, const KeyId& id,
             const TpmKeyBlob& blob) {
  try {
    LoadBelow(parent, state, id, blob);
  } catch (const DeviceKeyError& error) {
    if (error.code() != ErrorCode::kKeyLost && error.code() != ErrorCode::kStoreCorrupt) throw;
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "the TPM cannot load the key that it has just returned: its answer was "
                         "changed on the way. Try again",
                         error.platform_status());
  }
}

LoadedKey& Load(TpmState& state, const KeyId& id, const LoadableKey& key) {
  state.keys.MakeRoom(1);
  const StorageParents::Lease parent(state.parents, key.parent);
  return LoadBelow(parent, state, id, key.blob);
}

// Returns the key if it is loaded or has a saved context; nullptr if it must be loaded from its
// record.
LoadedKey* FindOrRestore(TpmState& state, const KeyId& id) {
  if (LoadedKey* key = state.keys.Find(id.str())) return key;
  state.keys.MakeRoom(1);
  return state.keys.Restore(id.str());
}

// Flushes the key if it is loaded. Does not flush another client's object that is now at its
// handle.
void Drop(TpmState& state, const KeyId& id) {
  LoadedKey* key = state.keys.Find(id.str());
  if (key != nullptr && !IsStillLoaded(state.connection, key->handle.get(), key->name)) {
    key->handle.Abandon();
  }
  state.keys.Remove(id.str());
}

TpmHandle LoadAttestationKey(TpmState& state, const LoadableKey& key) {
  const StorageParents::Lease parent(state.parents, key.parent);
  return LoadKey(state.connection, parent.handle(), key.blob, NameOf(key.blob.public_area));
}

constexpr EndorsementKeyType kEndorsementKeyTypes[] = {
    EndorsementKeyType::kRsa2048, EndorsementKeyType::kP256, EndorsementKeyType::kP384};

KeyAttestation::EndorsementKey DescribeEndorsementKey(TpmConnection& connection,
                                                      EndorsementKeyType type,
                                                      std::optional<Bytes> certificate) {
  TPM2B_PUBLIC area;
  const TpmHandle key = CreateEndorsementKey(connection, type, area);
  return {Marshalled(area.publicArea), std::move(certificate)};
}

// The endorsement keys for which the TPM stores a certificate. If it stores none: the P-256 key,
// because deriving that is fastest.
std::vector<KeyAttestation::EndorsementKey> EndorsementKeys(TpmConnection& connection) {
  std::vector<KeyAttestation::EndorsementKey> keys;
  for (const EndorsementKeyType type : kEndorsementKeyTypes) {
    if (auto certificate = ReadEndorsementCertificate(connection, type)) {
      keys.push_back(DescribeEndorsementKey(connection, type, std::move(certificate)));
    }
  }
  if (keys.empty()) {
    keys.push_back(DescribeEndorsementKey(connection, EndorsementKeyType::kP256, std::nullopt));
  }
  return keys;
}

struct ParsedCredential {
  TPM2B_ID_OBJECT credential_blob{};
  TPM2B_ENCRYPTED_SECRET encrypted_secret{};
  EndorsementKeyType type{};  // of the endorsement key that the secret is encrypted for
};

// Copies the contents of a marshalled TPM2B into `buffer` and returns their size.
uint16_t TakeBuffer(const Bytes& tpm2b, std::span<uint8_t> buffer, const std::string& name) {
  const size_t size = tpm2b.size() < 2 ? 0 : size_t{tpm2b[0]} << 8 | tpm2b[1];
  if (size == 0 || tpm2b.size() != 2 + size || size > buffer.size()) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         name + ": expected a buffer after its size in two bytes");
  }
  std::copy(tpm2b.begin() + 2, tpm2b.end(), buffer.begin());
  return static_cast<uint16_t>(size);
}

// Throws `invalid_params`.
ParsedCredential ParseCredential(const AttestationCredential& credential) {
  ParsedCredential parsed;
  parsed.credential_blob.size =
      TakeBuffer(credential.credential_blob, parsed.credential_blob.credential, "credentialBlob");
  parsed.encrypted_secret.size =
      TakeBuffer(credential.encrypted_secret, parsed.encrypted_secret.secret, "encryptedSecret");
  // The secret is an RSA ciphertext or an ECC point: two coordinates, each after its size.
  switch (parsed.encrypted_secret.size) {
    case 256:
      parsed.type = EndorsementKeyType::kRsa2048;
      break;
    case 2 * (2 + 32):
      parsed.type = EndorsementKeyType::kP256;
      break;
    case 2 * (2 + 48):
      parsed.type = EndorsementKeyType::kP384;
      break;
    default:
      throw DeviceKeyError(ErrorCode::kInvalidParams,
                           "encryptedSecret: expected a secret for an endorsement key of RSA 2048, "
                           "P-256 or P-384");
  }
  return parsed;
}

}  // namespace

Tpm2Provider::Tpm2Provider(const Tpm2Options& options)
    : tcti_(ResolveTcti(options)),
      allow_simulator_(ResolveAllowSimulator(options)),
      tpm_(SharedTpm::For(tcti_)) {
  Tss2Library::Silence();
}

void Tpm2Provider::RequireTrustedTpm() const {
  if (!tcti_.is_simulator() || allow_simulator_) return;
  throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                       "the TPM at \"" + tcti_.str() +
                           "\" is a simulator, which protects nothing. For tests and "
                           "demonstrations, allow it with allowSimulator: true or "
                           "DEVICE_KEY_ALLOW_SIMULATOR=1");
}

Availability Tpm2Provider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"tcti", tcti_.str()}, {"simulator", tcti_.is_simulator()}};
  try {
    RequireTrustedTpm();
    tpm_->Use(limits, [&](TpmState& state) {
      if (state.connection.transport().is_vtpm_proxy()) availability.details["vtpmProxy"] = true;
      availability.details.update(ReadTpmProperties(state.connection));
      if (!HasP256(state.connection)) {
        throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                             "the TPM at " + tcti_.conf + " has no NIST P-256 keys");
      }
      // Create needs a usable parent. A listed handle does not prove that there is one.
      state.keys.MakeRoom(1);
      Recovering(state, [&] {
        const TPM2_HANDLE parent = state.parents.Choose();
        availability.details["persistentStorageKey"] = parent == kPersistentSrk;
        const StorageParents::Lease lease(state.parents, {parent, {}});
        if (availability.details["inLockout"] && !state.parents.UsableInLockout(parent)) {
          throw TpmError("use the storage key at 0x81000001", TPM2_RC_LOCKOUT);
        }
      });
    });
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey Tpm2Provider::Create(const KeyId& id, const AuthValue& auth_value,
                                 const OperationLimits& limits) {
  RequireTrustedTpm();
  const TPM2B_AUTH auth = TpmAuth(auth_value);
  return tpm_->Use(limits, [&](TpmState& state) {
    state.keys.MakeRoom(1);
    return Recovering(state, [&] {
      const StorageParents::Lease parent(state.parents, {state.parents.Choose(), {}});
      const TpmKeyBlob blob = CreateDeviceKey(state.connection, parent.handle(), auth);
      LoadNew(parent, state, id, blob);
      const TPMS_ECC_POINT& point = blob.public_area.publicArea.unique.ecc;
      return ProviderKey{
          SpkiFromPoint({point.x.buffer, point.x.size}, {point.y.buffer, point.y.size}),
          EncodeHandle({parent.reference(), blob})};
    });
  });
}

Bytes Tpm2Provider::Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth_value,
                         const Sha256Digest& digest, const OperationLimits& limits) {
  RequireTrustedTpm();
  const TPM2B_AUTH auth = TpmAuth(auth_value);
  const auto sign = [&](TpmState& state, LoadedKey& key) {
    key.in_use = true;
    return SignDigest(state.connection, key.handle.get(), auth, digest);
  };
  return tpm_->Use(limits, [&](TpmState& state) {
    return Recovering(state, [&] {
      if (LoadedKey* key = FindOrRestore(state, id)) {
        try {
          return sign(state, *key);
        } catch (const DeviceKeyError& error) {
          // Another process may have bound the key since it was loaded, which changes its
          // authValue. So load the key again before reporting a wrong authValue.
          if (error.code() != ErrorCode::kBindingMismatch ||
              !IsStillLoaded(state.connection, key->handle.get(), key->name)) {
            throw;
          }
          state.keys.Remove(id.str());
        }
      }
      return sign(state, Load(state, id, DecodeHandle(handle)));
    });
  });
}

nlohmann::json Tpm2Provider::Bind(const KeyId& id, const nlohmann::json& handle,
                                  const AuthValue& current, const AuthValue& next,
                                  const OperationLimits& limits) {
  RequireTrustedTpm();
  const LoadableKey unbound = DecodeHandle(handle);
  return tpm_->Use(limits, [&](TpmState& state) {
    Drop(state, id);  // may have another authValue than `handle`
    return Recovering(state, [&] {
      const LoadedKey& loaded = Load(state, id, unbound);
      const StorageParents::Lease parent(state.parents, unbound.parent);
      LoadableKey bound{parent.reference(), unbound.blob};
      bound.blob.private_area = ChangeAuth(state.connection, loaded.handle.get(), parent.handle(),
                                           TpmAuth(current), TpmAuth(next));
      state.keys.Remove(id.str());
      // The caller writes the returned handle to the record.
      LoadNew(parent, state, id, bound.blob);
      return EncodeHandle(bound);
    });
  });
}

nlohmann::json Tpm2Provider::CreateAttestationKey(const OperationLimits& limits) {
  RequireTrustedTpm();
  return tpm_->Use(limits, [&](TpmState& state) {
    state.keys.MakeRoom(1);
    return Recovering(state, [&] {
      const StorageParents::Lease parent(state.parents, {state.parents.Choose(), {}});
      return EncodeHandle({parent.reference(),
                           device_key::CreateAttestationKey(state.connection, parent.handle())});
    });
  });
}

KeyAttestation Tpm2Provider::Attest(const KeyId& id, const nlohmann::json& handle,
                                    const AuthValue& auth, const nlohmann::json& attestation_key,
                                    ByteView challenge, const OperationLimits& limits) {
  RequireTrustedTpm();
  const LoadableKey device_key = DecodeHandle(handle);
  const LoadableKey signer = DecodeAttestationKey(attestation_key);
  return tpm_->Use(limits, [&](TpmState& state) {
    return Recovering(state, [&] {
      // The device key and the attestation key use the two slots beside a parent.
      state.keys.EvictTo(0);
      KeyAttestation attestation;
      attestation.endorsement_keys = EndorsementKeys(state.connection);
      const LoadedKey& loaded = Load(state, id, device_key);
      const TpmHandle signer_handle = LoadAttestationKey(state, signer);
      CertifiedKey certified = Certify(state.connection, loaded.handle.get(), TpmAuth(auth),
                                       signer_handle.get(), challenge);
      attestation.attest = std::move(certified.attest);
      attestation.signature = std::move(certified.signature);
      attestation.key_public_area = Marshalled(device_key.blob.public_area.publicArea);
      attestation.attestation_key_public_area = Marshalled(signer.blob.public_area.publicArea);
      return attestation;
    });
  });
}

Bytes Tpm2Provider::ActivateCredential(const nlohmann::json& attestation_key,
                                       const AttestationCredential& credential,
                                       const OperationLimits& limits) {
  RequireTrustedTpm();
  const LoadableKey signer = DecodeAttestationKey(attestation_key);
  const ParsedCredential parsed = ParseCredential(credential);
  return tpm_->Use(limits, [&](TpmState& state) {
    return Recovering(state, [&] {
      state.keys.EvictTo(0);
      const TpmHandle signer_handle = LoadAttestationKey(state, signer);
      TPM2B_PUBLIC area;
      const TpmHandle endorsement_key = CreateEndorsementKey(state.connection, parsed.type, area);
      return device_key::ActivateCredential(state.connection, signer_handle.get(),
                                            endorsement_key.get(), parsed.type,
                                            parsed.credential_blob, parsed.encrypted_secret);
    });
  });
}

void Tpm2Provider::Delete(const KeyId& id, const nlohmann::json&, const OperationLimits& limits) {
  // The key existed only in the record, which the caller deletes.
  const auto latest = std::chrono::steady_clock::now() + kDeleteTimeout;
  Unload(id, {std::min(limits.deadline, latest), limits.interrupt});
}

void Tpm2Provider::Unload(const KeyId& id, const OperationLimits& limits) {
  try {
    tpm_->UseIfConnected(limits, [&](TpmState& state) { Drop(state, id); });
  } catch (const DeviceKeyError&) {
    // If the TPM does not answer, no key of ours that is loaded there can be used.
  }
}

}  // namespace device_key
