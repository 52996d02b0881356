#include "providers/apple/secure_enclave_provider.h"

#include <string>
#include <utility>

#include "providers/apple/key_handle.h"
#include "providers/apple/keychain.h"
#include "providers/apple/secure_enclave.h"
#include "providers/apple/security_calls.h"

namespace device_key {
namespace {

// The tag of the key that Probe makes and deletes. If the process dies in between, the next probe
// deletes that key.
constexpr char kProbeTag[] = "node-device-key probe";

ProviderKey Described(SecKeyRef key, KeyHome home, Bytes wrapped) {
  Bytes spki = SpkiOf(key);
  const KeyHandle handle{
      .home = home, .wrapped_key = std::move(wrapped), .public_key_sha256 = PublicKeySha256(spki)};
  return {std::move(spki), handle.ToJson()};
}

ProviderKey MakeInKeychain(const std::string& tag, bool user_presence) {
  // Finds out whether the keychain can be used (locked, not entitled) before a key is made.
  if (FindInKeychain(Keychain::kDataProtection, tag)) {
    DeleteFromKeychain(Keychain::kDataProtection, tag);
  }
  const ScopedSecKey key = MakeEnclaveKeyInKeychain(tag, user_presence);
  try {
    return Described(key.get(), KeyHome::kKeychain, {});
  } catch (const DeviceKeyError&) {
    DeleteFromKeychain(Keychain::kDataProtection, tag);
    throw;
  }
}

ProviderKey MakeInRecord(bool user_presence) {
  WrappedEnclaveKey made = MakeWrappedEnclaveKey(user_presence);
  ProviderKey key = Described(made.key.get(), KeyHome::kRecord, std::move(made.wrapped));
  // Checks that the key can be opened again, as after a restart. Only signing asks the user;
  // opening does not.
  try {
    KeyHandle::FromJson(key.handle).Open(/*tag=*/{}, /*context=*/nullptr);
  } catch (const DeviceKeyError& error) {
    if (error.code() != ErrorCode::kKeyLost) throw;
    throw DeviceKeyError(
        ErrorCode::kPlatformError,
        "macOS made a key in the Secure Enclave that it cannot open again; the key "
        "is not kept. Try again; if it fails again, report this",
        error.platform_status());
  }
  return key;
}

ProviderKey Make(const std::string& tag, bool user_presence) {
  try {
    return MakeInKeychain(tag, user_presence);
  } catch (const DeviceKeyError& error) {
    if (error.code() != ErrorCode::kMissingEntitlement) throw;
  }
  return MakeInRecord(user_presence);
}

}  // namespace

Availability SecureEnclaveProvider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"userPresence", user_presence_.required}};
  try {
    const KeyHome home = SecurityCalls().Run(limits, [] {
      // Without user presence: a probe must not ask the user.
      const KeyHandle handle = KeyHandle::FromJson(Make(kProbeTag, /*user_presence=*/false).handle);
      handle.Delete(kProbeTag);
      return handle.home;
    });
    availability.details["home"] = KeyHomeName(home);
    availability.details["homeReason"] =
        home == KeyHome::kKeychain
            ? "the host executable may use the data-protection keychain"
            : "the host executable lacks the entitlement keychain-access-groups (-34018)";
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey SecureEnclaveProvider::Create(const KeyId& id, const AuthValue&,
                                          const OperationLimits& limits) {
  return SecurityCalls().Run(
      limits, [tag = id.str(), presence = user_presence_.required] { return Make(tag, presence); },
      [tag = id.str()](const ProviderKey& late) { KeyHandle::FromJson(late.handle).Delete(tag); });
}

Bytes SecureEnclaveProvider::Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue&,
                                  const Sha256Digest& digest, const OperationLimits& limits) {
  return SecurityCalls().Run(
      limits, [window = window_, tag = id.str(), stored = KeyHandle::FromJson(handle), digest] {
        return window->During(
            [&](CFTypeRef context) { return SignDigest(stored.Open(tag, context).get(), digest); });
      });
}

void SecureEnclaveProvider::Delete(const KeyId& id, const nlohmann::json& handle,
                                   const OperationLimits& limits) {
  SecurityCalls().Run(limits, [tag = id.str(), handle] {
    if (handle.is_null()) {
      // The record was never written, so a key that was meant for it is gone. A key in the keychain
      // may have been made by an entitled program. So `missing_entitlement` is an error here: it
      // does not mean that there is no key.
      DeleteFromKeychain(Keychain::kDataProtection, tag);
    } else {
      KeyHandle::FromJson(handle).Delete(tag);
    }
  });
}

}  // namespace device_key
