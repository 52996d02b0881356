#include "providers/apple/keychain.h"

#include "providers/apple/apple_status.h"

namespace device_key {
namespace {

// Matches private keys only; without the key class it would match public keys too. Without
// kSecUseDataProtectionKeychain, macOS searches the file-based keychain.
CfDictionary ItemQuery(Keychain keychain, const std::string& tag) {
  CfDictionary query;
  query.Set(kSecClass, kSecClassKey)
      .Set(kSecAttrKeyClass, kSecAttrKeyClassPrivate)
      .Set(kSecAttrApplicationTag, CfData(AsBytes(tag)))
      .Set(kSecUseDataProtectionKeychain,
           keychain == Keychain::kDataProtection ? kCFBooleanTrue : kCFBooleanFalse);
  return query;
}

// Throws `missing_entitlement` if the host may not use the data-protection keychain.
//
// For such a host SecItemCopyMatching returns "not found", because each program may read the access
// group of tokens, so the search is allowed and finds nothing. SecItemDelete is refused, because no
// program may write that access group (SecTaskCopyAccessGroups and
// SecurityClientCopyWritableAccessGroups in Apple's published client.c and SecItemServer.c). No key
// has this tag.
void RequireEntitlement() {
  const OSStatus status =
      SecItemDelete(ItemQuery(Keychain::kDataProtection, "node-device-key no key").get());
  if (status != errSecSuccess && status != errSecItemNotFound) {
    throw AppleError("use the data-protection keychain", status);
  }
}

}  // namespace

void MakePermanent(CfDictionary& private_key_attributes, const std::string& tag) {
  private_key_attributes.Set(kSecAttrIsPermanent, kCFBooleanTrue)
      .Set(kSecAttrApplicationTag, CfData(AsBytes(tag)))
      .Set(kSecAttrLabel, CfString("Device key " + tag));
}

ScopedSecKey FindInKeychain(Keychain keychain, const std::string& tag, CFTypeRef context) {
  CfDictionary query = ItemQuery(keychain, tag);
  query.Set(kSecReturnRef, kCFBooleanTrue).Set(kSecMatchLimit, kSecMatchLimitOne);
  if (context != nullptr) query.Set(kSecUseAuthenticationContext, context);
  CFTypeRef result = nullptr;
  const OSStatus status = SecItemCopyMatching(query.get(), &result);
  ScopedCf<CFTypeRef> found(result);
  if (status == errSecItemNotFound) {
    if (keychain == Keychain::kDataProtection) RequireEntitlement();
    return nullptr;
  }
  if (status != errSecSuccess) throw AppleError("look the key up in the keychain", status);
  if (!found || CFGetTypeID(found.get()) != SecKeyGetTypeID()) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "the keychain found something that is not a key");
  }
  return ScopedSecKey(static_cast<SecKeyRef>(const_cast<void*>(found.release())));
}

ScopedSecKey OpenFromKeychain(Keychain keychain, const std::string& tag, CFTypeRef context) {
  ScopedSecKey key = FindInKeychain(keychain, tag, context);
  if (!key) throw AppleError("find the key in the keychain", errSecItemNotFound);
  return key;
}

void DeleteFromKeychain(Keychain keychain, const std::string& tag) {
  const OSStatus status = SecItemDelete(ItemQuery(keychain, tag).get());
  if (status != errSecSuccess && status != errSecItemNotFound) {
    throw AppleError("delete the key from the keychain", status);
  }
}

}  // namespace device_key
