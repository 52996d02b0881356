#include "providers/apple/keychain_provider.h"

#include <string>

#include "providers/apple/access_control.h"
#include "providers/apple/apple_status.h"
#include "providers/apple/bounded_call.h"
#include "providers/apple/key_handle.h"
#include "providers/apple/keychain.h"

namespace device_key {
namespace {

constexpr char kProbeTag[] = "node-device-key software probe";

ScopedSecKey MakeWith(const std::string& tag, CfDictionary private_key) {
  MakePermanent(private_key, tag);
  private_key.Set(kSecAttrIsExtractable, kCFBooleanFalse);
  CfDictionary attributes = P256Attributes();
  attributes.Set(kSecUseDataProtectionKeychain, kCFBooleanTrue)
      .Set(kSecPrivateKeyAttrs, private_key);
  return CreateSecKey(attributes);
}

ScopedSecKey MakeWithAccessControl(const std::string& tag, bool user_presence) {
  CfDictionary private_key;
  private_key.Set(kSecAttrAccessControl,
                  AccessControl(user_presence ? kSecAccessControlUserPresence : 0));
  return MakeWith(tag, std::move(private_key));
}

ScopedSecKey MakeWithoutAccessControl(const std::string& tag) {
  CfDictionary private_key;
  private_key.Set(kSecAttrAccessible, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly);
  return MakeWith(tag, std::move(private_key));
}

// Some Intel Macs have been reported to refuse software keys with an access control (-25293,
// -25300), others those without one.
ScopedSecKey MakeKey(const std::string& tag, bool user_presence) {
  try {
    return MakeWithAccessControl(tag, user_presence);
  } catch (const DeviceKeyError& with) {
    const bool refused = HasStatus(with, errSecAuthFailed) || HasStatus(with, errSecItemNotFound);
    // User presence is nothing but an access control.
    if (!refused || user_presence) throw;
    try {
      return MakeWithoutAccessControl(tag);
    } catch (const DeviceKeyError& without) {
      throw DeviceKeyError(without.code(),
                           "with an access control: " + std::string(with.what()) +
                               "; without one: " + without.what(),
                           without.platform_status());
    }
  }
}

ProviderKey Make(const std::string& tag, bool user_presence) {
  // An answer other than "no such key" (locked, not entitled) comes before there is a key.
  if (FindInKeychain(tag)) DeleteFromKeychain(tag);
  const ScopedSecKey key = MakeKey(tag, user_presence);
  try {
    CheckCannotBeExported(key.get());
    Bytes spki = SpkiOf(key.get());
    const KeyHandle handle{.wrapped_key = {}, .public_key_sha256 = PublicKeySha256(spki)};
    return {std::move(spki), handle.ToJson()};
  } catch (const DeviceKeyError&) {
    DeleteFromKeychain(tag);
    throw;
  }
}

}  // namespace

Availability KeychainProvider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"userPresence", user_presence_}, {"home", "keychain"}};
  try {
    BoundedCall<bool>(limits, [] {
      // Without user presence: nobody is to be asked for a probe.
      Make(kProbeTag, /*user_presence=*/false);
      DeleteFromKeychain(kProbeTag);
      return true;
    });
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey KeychainProvider::Create(const KeyId& id, const KeyBinding&,
                                     const OperationLimits& limits) {
  return BoundedCall<ProviderKey>(
      limits, [tag = id.str(), presence = user_presence_] { return Make(tag, presence); },
      [tag = id.str()](const ProviderKey&) {
        try {
          DeleteFromKeychain(tag);
        } catch (const DeviceKeyError&) {
          // There is nobody left to tell.
        }
      });
}

Bytes KeychainProvider::Sign(const KeyId& id, const nlohmann::json& handle, const KeyBinding&,
                             const Sha256Digest& digest, const OperationLimits& limits) {
  return BoundedCall<Bytes>(limits, [tag = id.str(), stored = KeyHandle::FromJson(handle), digest] {
    const ScopedSecKey key = OpenFromKeychain(tag);
    stored.CheckIsKey(key.get());
    return SignDigest(key.get(), digest);
  });
}

void KeychainProvider::Delete(const KeyId& id, const nlohmann::json&,
                              const OperationLimits& limits) {
  BoundedCall<bool>(limits, [tag = id.str()] {
    DeleteFromKeychain(tag);
    return true;
  });
}

}  // namespace device_key
