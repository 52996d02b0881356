#include "providers/apple/keychain_provider.h"

#include <optional>
#include <string>
#include <utility>

#include "providers/apple/access_control.h"
#include "providers/apple/apple_status.h"
#include "providers/apple/key_handle.h"
#include "providers/apple/keychain.h"
#include "providers/apple/security_calls.h"

namespace device_key {
namespace {

constexpr char kProbeTag[] = "node-device-key software probe";

// One way to make a key, with its name in messages.
enum class Way { kAccessControl, kNoAccessControl, kFileKeychain };

const char* NameOf(Way way) {
  switch (way) {
    case Way::kAccessControl:
      return "in the data-protection keychain with an access control";
    case Way::kNoAccessControl:
      return "in the data-protection keychain without one";
    case Way::kFileKeychain:
      break;
  }
  return "in the login keychain";
}

CfDictionary AttributesFor(Way way, const std::string& tag, bool user_presence) {
  CfDictionary private_key;
  MakePermanent(private_key, tag);
  private_key.Set(kSecAttrIsExtractable, kCFBooleanFalse);
  if (way == Way::kAccessControl) {
    // Without the private-key usage, which only the enclave supports.
    private_key.Set(kSecAttrAccessControl,
                    AccessControl(user_presence ? kSecAccessControlUserPresence : 0));
  } else if (way == Way::kNoAccessControl) {
    private_key.Set(kSecAttrAccessible, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly);
  }
  CfDictionary attributes = P256Attributes();
  attributes
      .Set(kSecPrivateKeyAttrs, private_key)
      // The file-based keychain looks for it here.
      .Set(kSecAttrIsExtractable, kCFBooleanFalse)
      .Set(kSecUseDataProtectionKeychain,
           way == Way::kFileKeychain ? kCFBooleanFalse : kCFBooleanTrue);
  return attributes;
}

// Makes the key and reads back that it cannot be exported.
ProviderKey MakeIn(Way way, const std::string& tag, bool user_presence) {
  const bool file = way == Way::kFileKeychain;
  const Keychain keychain = file ? Keychain::kFile : Keychain::kDataProtection;
  // Finds out whether the keychain can be used (locked, not entitled) before a key is made.
  if (FindInKeychain(keychain, tag)) DeleteFromKeychain(keychain, tag);
  const ScopedSecKey key = CreateSecKey(AttributesFor(way, tag, user_presence));
  try {
    CheckCannotBeExported(key.get());
    Bytes spki = SpkiOf(key.get());
    const KeyHandle handle{.home = file ? KeyHome::kFileKeychain : KeyHome::kKeychain,
                           .wrapped_key = {},
                           .public_key_sha256 = PublicKeySha256(spki)};
    return {std::move(spki), handle.ToJson()};
  } catch (const DeviceKeyError&) {
    DeleteFromKeychain(keychain, tag);
    throw;
  }
}

// Whether to try the next way. Some Intel Macs have been reported to refuse software keys with an
// access control (-25293, -25300), others to refuse keys without one. The host may lack the
// entitlement. The data-protection keychain exports software keys regardless of their attributes
// (SecKeyGeneratePrivateAttributeDictionary and SecECPrivateKeyCopyExternalRepresentation in
// Apple's published SecKey.m and SecECKey.m).
bool ShouldTryNextWay(const DeviceKeyError& error) {
  return HasStatus(error, errSecAuthFailed) || HasStatus(error, errSecItemNotFound) ||
         error.code() == ErrorCode::kMissingEntitlement || error.code() == ErrorCode::kCryptoError;
}

struct Made {
  ProviderKey key;
  std::string refusals;  // of the ways tried before; empty for the first
};

Made Make(const std::string& tag, bool user_presence) {
  std::optional<DeviceKeyError> failure;
  std::string refusals;
  for (const Way way : {Way::kAccessControl, Way::kNoAccessControl, Way::kFileKeychain}) {
    // Only an access control can ask for user presence.
    if (user_presence && way != Way::kAccessControl) break;
    // The same keychain without an access control would fail for the same reason.
    if (way == Way::kNoAccessControl && failure->code() == ErrorCode::kMissingEntitlement) continue;
    try {
      return {MakeIn(way, tag, user_presence), std::move(refusals)};
    } catch (const DeviceKeyError& error) {
      failure = error;
      if (!refusals.empty()) refusals += "; ";
      refusals += std::string(NameOf(way)) + ": " + error.what();
      if (!ShouldTryNextWay(error)) break;
    }
  }
  // A Mac that exports all kinds of keys is not broken; it has no fallback.
  const ErrorCode code = failure->code() == ErrorCode::kCryptoError
                             ? ErrorCode::kHardwareUnavailable
                             : failure->code();
  throw DeviceKeyError(code, "no keychain key could be made; " + refusals,
                       failure->platform_status());
}

}  // namespace

Availability KeychainProvider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"userPresence", user_presence_.required}};
  try {
    // With user presence, which a Mac may not support. Making a key asks nobody.
    availability.details.update(SecurityCalls().Run(limits, [presence = user_presence_.required] {
      const Made made = Make(kProbeTag, presence);
      const KeyHandle handle = KeyHandle::FromJson(made.key.handle);
      handle.Delete(kProbeTag);
      return nlohmann::json{
          {"home", KeyHomeName(handle.home)},
          {"homeReason", made.refusals.empty() ? "it does not export keys" : made.refusals}};
    }));
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey KeychainProvider::Create(const KeyId& id, const AuthValue&,
                                     const OperationLimits& limits) {
  return SecurityCalls().Run(
      limits,
      [tag = id.str(), presence = user_presence_.required] { return Make(tag, presence).key; },
      [tag = id.str()](const ProviderKey& late) { KeyHandle::FromJson(late.handle).Delete(tag); });
}

Bytes KeychainProvider::Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue&,
                             const Sha256Digest& digest, const OperationLimits& limits) {
  return SecurityCalls().Run(
      limits, [window = window_, tag = id.str(), stored = KeyHandle::FromJson(handle), digest] {
        return window->During(
            [&](CFTypeRef context) { return SignDigest(stored.Open(tag, context).get(), digest); });
      });
}

void KeychainProvider::Delete(const KeyId& id, const nlohmann::json& handle,
                              const OperationLimits& limits) {
  SecurityCalls().Run(limits, [tag = id.str(), handle] {
    if (handle.is_null()) {
      // The keychain that needs no entitlement comes first.
      DeleteFromKeychain(Keychain::kFile, tag);
      DeleteFromKeychain(Keychain::kDataProtection, tag);
    } else {
      KeyHandle::FromJson(handle).Delete(tag);
    }
  });
}

}  // namespace device_key
