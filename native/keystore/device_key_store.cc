#include "keystore/device_key_store.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>
#include <utility>

#include "crypto/base64.h"
#include "crypto/p256.h"
#include "crypto/random.h"
#include "keystore/attestation_key.h"
#include "platform/error.h"
#include "platform/path_text.h"
#include "protocol/dpop.h"
#include "protocol/rules.h"
#include "protocol/signed_bytes.h"

namespace device_key {
namespace {

// Deletes a key that could not be recorded. Returns whether it is deleted. Not limited by the
// operation's deadline, which may have passed: the key must not stay in the hardware.
bool Discard(const MadeKey& made) {
  constexpr std::chrono::seconds kGrace{2};
  try {
    made.provider.Delete(made.key_id, made.key.handle,
                         {.deadline = std::chrono::steady_clock::now() + kGrace});
    return true;
  } catch (const DeviceKeyError&) {
    // Report the error that led here.
    return false;
  }
}

// A key has one use. Both throw `binding_mismatch` for a key that has the other.
const AccountBinding& AccountOf(const KeyRecord& record) {
  const auto* binding = std::get_if<AccountBinding>(&record.binding);
  if (binding != nullptr) return *binding;
  throw DeviceKeyError(ErrorCode::kBindingMismatch,
                       "keyId: expected a key for connection and enrollment payloads; " +
                           record.key_id.str() + " signs only DPoP proofs");
}

const DpopBinding& DpopOf(const KeyRecord& record) {
  const auto* binding = std::get_if<DpopBinding>(&record.binding);
  if (binding != nullptr) return *binding;
  throw DeviceKeyError(ErrorCode::kBindingMismatch,
                       "keyId: expected a key for DPoP proofs; " + record.key_id.str() +
                           " signs connection and enrollment payloads alone");
}

}  // namespace

int64_t SystemUnixSeconds() { return static_cast<int64_t>(std::time(nullptr)); }

DeviceKeyStore::DeviceKeyStore(StoreOptions options,
                               std::vector<std::shared_ptr<KeyProvider>> providers)
    : options_(std::move(options)),
      providers_(std::move(providers)),
      records_(options_.directory),
      pending_(options_.directory) {}

CreateResponse DeviceKeyStore::Create(const CreateParams& params, const OperationLimits& limits,
                                      const std::function<bool()>& commit) {
  return Make(params.protection_policy, AccountBinding{params.account_user_id, params.client_id},
              limits, commit);
}

CreateResponse DeviceKeyStore::CreateUnbound(const CreateUnboundParams& params,
                                             const OperationLimits& limits,
                                             const std::function<bool()>& commit) {
  return Make(params.protection_policy, AccountBinding{}, limits, commit);
}

CreateResponse DeviceKeyStore::CreateDpopKey(const CreateDpopKeyParams& params,
                                             const OperationLimits& limits,
                                             const std::function<bool()>& commit) {
  DpopBinding binding{params.client_id, params.origins};
  std::sort(binding.origins.begin(), binding.origins.end());
  binding.origins.erase(std::unique(binding.origins.begin(), binding.origins.end()),
                        binding.origins.end());
  return Make(params.protection_policy, std::move(binding), limits, commit);
}

CreateResponse DeviceKeyStore::Make(ProtectionPolicy policy, const KeyBinding& binding,
                                    const OperationLimits& limits,
                                    const std::function<bool()>& commit) {
  // Before the hardware makes a key: a store that cannot be written is found now.
  const RecordStore::Reservation reservation = records_.Reserve();
  const Announcements announcements{
      .announce =
          [&](KeyProvider& provider, const KeyId& key_id, const nlohmann::json& place) {
            pending_.Sweep(provider, place, options_.now(), limits);
            pending_.Announce(provider, key_id, place);
          },
      .withdraw = [&](const KeyId& key_id) { pending_.Withdraw(key_id); }};
  const MadeKey made = providers_.Create(policy, AuthValueOf(binding), limits, announcements);
  try {
    // Throws for anything but a P-256 key: the hardware's answer is not trusted.
    P256PublicKey::FromSpki(made.key.spki_der);
    if (!commit()) throw DeviceKeyError(ErrorCode::kCanceled, "creating the key was canceled");
    records_.Write(reservation, {.key_id = made.key_id,
                                 .provider = std::string(made.provider.name()),
                                 .public_key_spki_der = made.key.spki_der,
                                 .binding = binding,
                                 .created_at = options_.now(),
                                 .handle = made.key.handle});
  } catch (...) {
    if (Discard(made) && made.provider.keeps_keys()) pending_.Withdraw(made.key_id);
    throw;
  }
  if (made.provider.keeps_keys()) pending_.Withdraw(made.key_id);
  return {made.key_id, made.key.spki_der};
}

PublicResponse DeviceKeyStore::Public(const KeyId& key_id) {
  return {key_id, records_.Read(key_id)->record().public_key_spki_der};
}

PreparedSignature DeviceKeyStore::Prepare(SignParams params) const {
  CheckSignPayload(params.payload, options_.targets, options_.now());
  std::string signed_bytes = SignedBytes(params.payload);
  const Sha256Digest digest = Sha256(AsBytes(signed_bytes));
  return {std::move(params.key_id), std::move(params.payload), std::move(signed_bytes), digest};
}

SignResponse DeviceKeyStore::Sign(const PreparedSignature& prepared,
                                  const OperationLimits& limits) {
  try {
    return SignWithKey(prepared, limits);
  } catch (const DeviceKeyError& error) {
    if (error.code() == ErrorCode::kKeyLost) ExpectNotDeleted(prepared.key_id);
    throw;
  }
}

std::string DeviceKeyStore::SignDpop(const SignDpopParams& params, const OperationLimits& limits) {
  CheckDpopClaims(params.claims);
  try {
    return SignDpopWithKey(params, limits);
  } catch (const DeviceKeyError& error) {
    if (error.code() == ErrorCode::kKeyLost) ExpectNotDeleted(params.key_id);
    throw;
  }
}

// Delete removes the key first and then its record: a key that a concurrent Delete has removed is
// not lost. Throws `key_not_found` once the record is gone.
void DeviceKeyStore::ExpectNotDeleted(const KeyId& key_id) {
  constexpr int kLooks = 20;
  constexpr std::chrono::milliseconds kPause{10};
  for (int look = 0; look < kLooks; ++look) {
    records_.Read(key_id);
    std::this_thread::sleep_for(kPause);
  }
}

SignResponse DeviceKeyStore::SignWithKey(const PreparedSignature& prepared,
                                         const OperationLimits& limits) {
  std::shared_ptr<const StoredKey> key = records_.Read(prepared.key_id);
  CheckNotExpired(prepared.payload, options_.now());
  if (AccountOf(key->record()).empty()) key = Enroll(key->record(), prepared.payload, limits);
  const AccountBinding& binding = AccountOf(key->record());
  CheckPayloadBinding(prepared.payload, binding.account_user_id, binding.client_id);
  return {SignDigest(*key, prepared.digest, limits), prepared.signed_bytes};
}

std::string DeviceKeyStore::SignDpopWithKey(const SignDpopParams& params,
                                            const OperationLimits& limits) {
  // RFC 9449 section 4.2: at least 96 unpredictable bits.
  constexpr size_t kJtiBytes = 16;
  const std::shared_ptr<const StoredKey> key = records_.Read(params.key_id);
  CheckDpopOrigin(params.claims.htu, DpopOf(key->record()).origins);
  const std::string signing_input =
      DpopSigningInput(key->record().public_key_spki_der, params.claims,
                       Base64UrlEncode(RandomBytes(kJtiBytes)), options_.now());
  const Bytes signature = SignDigest(*key, Sha256(AsBytes(signing_input)), limits);
  return DpopProof(signing_input, EcdsaRawFromDer(signature));
}

// The signature, verified with the recorded public key.
Bytes DeviceKeyStore::SignDigest(const StoredKey& key, const Sha256Digest& digest,
                                 const OperationLimits& limits) {
  const KeyRecord& record = key.record();
  KeyProvider& provider = ProviderOf(record);
  const AuthValue auth = AuthValueOf(record.binding);
  const auto sign = [&] {
    return provider.Sign(record.key_id, record.handle, auth, digest, limits);
  };
  Bytes signature = sign();
  if (key.Verify(digest, signature)) return signature;
  provider.Unload(record.key_id, limits);
  signature = sign();
  if (key.Verify(digest, signature)) return signature;
  throw DeviceKeyError(ErrorCode::kCryptoError,
                       "the signature that " + record.provider + " made with " +
                           record.key_id.str() +
                           " does not verify with the key's public key, twice in a row: the "
                           "hardware is faulty or holds another key");
}

// Binds the key to the account and client of its first enrollment, in its hardware and its record.
std::shared_ptr<const StoredKey> DeviceKeyStore::Enroll(const KeyRecord& unbound,
                                                        const SignPayload& payload,
                                                        const OperationLimits& limits) {
  const auto* enrollment = std::get_if<EnrollmentPayload>(&payload);
  if (enrollment == nullptr) {
    throw DeviceKeyError(ErrorCode::kBindingMismatch, "payload.type: expected \"" +
                                                          std::string(EnrollmentPayload::kType) +
                                                          "\": the key has not been enrolled yet");
  }
  KeyRecord bound = unbound;
  bound.binding = AccountBinding{enrollment->account_user_id, enrollment->client_id};
  bound.handle =
      ProviderOf(unbound).Bind(unbound.key_id, unbound.handle, AuthValueOf(unbound.binding),
                               AuthValueOf(bound.binding), limits);
  records_.Bind(bound, limits.deadline);
  return records_.Read(unbound.key_id);
}

KeyAttestation DeviceKeyStore::Attest(const AttestParams& params, const OperationLimits& limits) {
  const std::shared_ptr<const StoredKey> key = records_.Read(params.key_id);
  const KeyRecord& record = key->record();
  KeyProvider& provider = ProviderOf(record);
  const AttestationKeyFile file(records_.directory(), provider);
  const auto attest = [&](const nlohmann::json& attestation_key) {
    return provider.Attest(record.key_id, record.handle, AuthValueOf(record.binding),
                           attestation_key, params.challenge, limits);
  };
  if (const auto attestation_key = file.Read()) {
    try {
      return attest(*attestation_key);
    } catch (const DeviceKeyError& error) {
      if (error.code() != ErrorCode::kKeyLost) throw;
      // The TPM was cleared. If the device key is lost too, the next attempt throws again.
      file.Remove(limits);
    }
  }
  return attest(file.Write(provider.CreateAttestationKey(limits)));
}

Bytes DeviceKeyStore::ActivateAttestation(const ActivateAttestationParams& params,
                                          const OperationLimits& limits) {
  const std::shared_ptr<const StoredKey> key = records_.Read(params.key_id);
  KeyProvider& provider = ProviderOf(key->record());
  const auto attestation_key = AttestationKeyFile(records_.directory(), provider).Read();
  if (!attestation_key) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "keyId: expected a key that has been attested: this store has no "
                         "attestation key");
  }
  return provider.ActivateCredential(*attestation_key,
                                     {params.credential_blob, params.encrypted_secret}, limits);
}

// The key id and the provider must name the same protection class.
KeyProvider& DeviceKeyStore::ProviderOf(const KeyRecord& record) const {
  KeyProvider& provider = providers_.Named(record.provider);
  if (provider.protection_class() != record.key_id.protection_class()) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the record of " + record.key_id.str() + " names the provider \"" +
                             record.provider + "\", whose keys have another protection class");
  }
  return provider;
}

void DeviceKeyStore::Delete(const KeyId& key_id, const OperationLimits& limits) {
  const std::shared_ptr<const StoredKey> key = records_.Read(key_id);
  const KeyRecord& record = key->record();
  ProviderOf(record).Delete(key_id, record.handle, limits);
  records_.Remove(key_id, limits.deadline);
}

std::vector<ListedKey> DeviceKeyStore::List() { return records_.List(); }

nlohmann::ordered_json DeviceKeyStore::Support(const OperationLimits& limits,
                                               ProviderSet::Ask ask) {
  nlohmann::ordered_json support = providers_.Support(limits, ask);
  nlohmann::ordered_json store = {{"directory", Utf8FromPath(records_.directory())},
                                  {"available", true},
                                  {"code", nullptr},
                                  {"message", nullptr}};
  try {
    records_.CheckReadable();
  } catch (const DeviceKeyError& error) {
    store["available"] = false;
    store["code"] = ErrorCodeName(error.code());
    store["message"] = error.what();
  }
  support["store"] = std::move(store);
  return support;
}

}  // namespace device_key
