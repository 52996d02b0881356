#include "providers/apple/secure_enclave_provider.h"

#include <string>
#include <utility>

#include "providers/apple/apple_status.h"
#include "providers/apple/bounded_call.h"
#include "providers/apple/key_handle.h"
#include "providers/apple/keychain.h"
#include "providers/apple/secure_enclave.h"

namespace device_key {
namespace {

// Keys of Probe, which are deleted at once; a process that died in between leaves one behind for
// the next probe.
constexpr char kProbeTag[] = "node-device-key probe";

ProviderKey Described(SecKeyRef key, Bytes wrapped) {
  Bytes spki = SpkiOf(key);
  const KeyHandle handle{.wrapped_key = std::move(wrapped),
                         .public_key_sha256 = PublicKeySha256(spki)};
  // A key that cannot be opened again would be lost at the next start; find out now.
  if (!handle.in_keychain()) handle.CheckIsKey(OpenWrappedEnclaveKey(handle.wrapped_key).get());
  return {std::move(spki), handle.ToJson()};
}

ProviderKey MakeInKeychain(const std::string& tag, bool user_presence) {
  // An answer other than "no such key" (locked, not entitled) comes before there is a key.
  if (FindInKeychain(tag)) DeleteFromKeychain(tag);
  const ScopedSecKey key = MakeEnclaveKeyInKeychain(tag, user_presence);
  try {
    return Described(key.get(), {});
  } catch (const DeviceKeyError&) {
    DeleteFromKeychain(tag);
    throw;
  }
}

ProviderKey Make(const std::string& tag, bool user_presence) {
  try {
    return MakeInKeychain(tag, user_presence);
  } catch (const DeviceKeyError& error) {
    if (error.code() != ErrorCode::kMissingEntitlement) throw;
  }
  WrappedEnclaveKey made = MakeWrappedEnclaveKey(user_presence);
  return Described(made.key.get(), std::move(made.wrapped));
}

void Remove(const std::string& tag, const nlohmann::json& handle) {
  if (KeyHandle::FromJson(handle).in_keychain()) DeleteFromKeychain(tag);
}

// For keys that nobody waits for any more.
void RemoveQuietly(const std::string& tag, const nlohmann::json& handle) {
  try {
    Remove(tag, handle);
  } catch (const DeviceKeyError&) {
    // There is nobody left to tell.
  }
}

}  // namespace

Availability SecureEnclaveProvider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"userPresence", user_presence_}};
  try {
    const bool in_keychain = BoundedCall<bool>(limits, [] {
      // Without user presence: nobody is to be asked for a probe.
      const ProviderKey key = Make(kProbeTag, /*user_presence=*/false);
      Remove(kProbeTag, key.handle);
      return KeyHandle::FromJson(key.handle).in_keychain();
    });
    availability.details["home"] = in_keychain ? "keychain" : "record";
    availability.details["homeReason"] =
        in_keychain ? "the host executable may use the data-protection keychain"
                    : "the host executable lacks the entitlement keychain-access-groups (-34018)";
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey SecureEnclaveProvider::Create(const KeyId& id, const KeyBinding&,
                                          const OperationLimits& limits) {
  return BoundedCall<ProviderKey>(
      limits, [tag = id.str(), presence = user_presence_] { return Make(tag, presence); },
      [tag = id.str()](const ProviderKey& late) { RemoveQuietly(tag, late.handle); });
}

Bytes SecureEnclaveProvider::Sign(const KeyId& id, const nlohmann::json& handle, const KeyBinding&,
                                  const Sha256Digest& digest, const OperationLimits& limits) {
  return BoundedCall<Bytes>(limits, [tag = id.str(), stored = KeyHandle::FromJson(handle), digest] {
    const ScopedSecKey key =
        stored.in_keychain() ? OpenFromKeychain(tag) : OpenWrappedEnclaveKey(stored.wrapped_key);
    stored.CheckIsKey(key.get());
    return SignDigest(key.get(), digest);
  });
}

void SecureEnclaveProvider::Delete(const KeyId& id, const nlohmann::json& handle,
                                   const OperationLimits& limits) {
  BoundedCall<bool>(limits, [tag = id.str(), handle] {
    Remove(tag, handle);
    return true;
  });
}

}  // namespace device_key
