#include "providers/apple/secure_enclave.h"

#include "platform/error.h"
#include "providers/apple/access_control.h"
#include "providers/apple/apple_status.h"
#include "providers/apple/keychain.h"

namespace device_key {
namespace {

// kSecAttrTokenOID of Apple's SecItemPriv.h: "Token-type specific BLOB"; for the enclave, the
// encrypted key. The SDK does not export the constant, so the code works without the attribute too.
constexpr char kTokenObjectAttribute[] = "toid";

CfDictionary PrivateKeyAttributes(bool user_presence) {
  SecAccessControlCreateFlags flags = kSecAccessControlPrivateKeyUsage;
  if (user_presence) flags |= kSecAccessControlUserPresence;
  CfDictionary attributes;
  attributes.Set(kSecAttrAccessControl, AccessControl(flags));
  return attributes;
}

ScopedSecKey MakeEnclaveKey(const CfDictionary& private_key_attributes, bool permanent) {
  CfDictionary attributes = P256Attributes();
  attributes.Set(kSecAttrTokenID, kSecAttrTokenIDSecureEnclave)
      .Set(kSecPrivateKeyAttrs, private_key_attributes);
  if (permanent) attributes.Set(kSecUseDataProtectionKeychain, kCFBooleanTrue);
  try {
    return CreateSecKey(attributes);
  } catch (const DeviceKeyError& error) {
    // Macs without an enclave have been reported to answer these two to correct requests.
    if (!HasStatus(error, errSecParam) && !HasStatus(error, errSecItemNotFound)) throw;
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         std::string(error.what()) +
                             ". This Mac has no Secure Enclave that can be used: Intel Macs "
                             "without a T2 chip and most virtual machines have none",
                         error.platform_status());
  }
}

void CheckIsInEnclave(SecKeyRef key) {
  const ScopedCf<CFDictionaryRef> attributes = AttributesOf(key);
  const CFTypeRef token = CFDictionaryGetValue(attributes.get(), kSecAttrTokenID);
  if (token == nullptr || !CFEqual(token, kSecAttrTokenIDSecureEnclave)) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "macOS made a key outside the Secure Enclave; the key is not kept");
  }
  CheckCannotBeExported(key);
}

}  // namespace

ScopedSecKey MakeEnclaveKeyInKeychain(const std::string& tag, bool user_presence) {
  CfDictionary private_key = PrivateKeyAttributes(user_presence);
  MakePermanent(private_key, tag);
  ScopedSecKey key = MakeEnclaveKey(private_key, /*permanent=*/true);
  try {
    CheckIsInEnclave(key.get());
  } catch (const DeviceKeyError&) {
    DeleteFromKeychain(Keychain::kDataProtection, tag);
    throw;
  }
  return key;
}

WrappedEnclaveKey MakeWrappedEnclaveKey(bool user_presence) {
  CfDictionary private_key = PrivateKeyAttributes(user_presence);
  private_key.Set(kSecAttrIsPermanent, kCFBooleanFalse);
  ScopedSecKey key = MakeEnclaveKey(private_key, /*permanent=*/false);
  CheckIsInEnclave(key.get());
  const ScopedCf<CFDictionaryRef> attributes = AttributesOf(key.get());
  const CFDataRef wrapped = DataIn(attributes.get(), CfString(kTokenObjectAttribute).get());
  if (wrapped == nullptr || CFDataGetLength(wrapped) == 0) {
    throw DeviceKeyError(ErrorCode::kMissingEntitlement,
                         "this macOS does not return enclave keys in wrapped form, and the "
                         "program that runs this code lacks the entitlement "
                         "keychain-access-groups to keep them in the keychain (docs/macos.md)");
  }
  return {std::move(key), BytesOf(wrapped)};
}

ScopedSecKey OpenWrappedEnclaveKey(ByteView wrapped, CFTypeRef context) {
  CfDictionary attributes = P256Attributes();
  attributes.Set(kSecAttrKeyClass, kSecAttrKeyClassPrivate)
      .Set(kSecAttrTokenID, kSecAttrTokenIDSecureEnclave)
      .Set(CfString(kTokenObjectAttribute).get(), CfData(wrapped));
  if (context != nullptr) attributes.Set(kSecUseAuthenticationContext, context);
  CfErrorSlot error;
  ScopedSecKey key(SecKeyCreateWithData(CfData({}).get(), attributes.get(), error.receive()));
  if (key) return key;
  const DeviceKeyError failure = AppleError("open the key with the Secure Enclave", error.get());
  if (!IsCorruptedTokenData(error.get())) throw failure;
  throw DeviceKeyError(ErrorCode::kKeyLost, failure.what(), failure.platform_status());
}

}  // namespace device_key
