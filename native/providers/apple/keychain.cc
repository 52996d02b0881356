#include "providers/apple/keychain.h"

#include "providers/apple/apple_status.h"

namespace device_key {
namespace {

// Private keys alone: a query without the key class would also match the public half.
CfDictionary ItemQuery(const std::string& tag) {
  CfDictionary query;
  query.Set(kSecClass, kSecClassKey)
      .Set(kSecAttrKeyClass, kSecAttrKeyClassPrivate)
      .Set(kSecAttrKeyType, kSecAttrKeyTypeECSECPrimeRandom)
      .Set(kSecAttrApplicationTag, CfData(AsBytes(tag)))
      // Without it macOS searches the file-based keychain too, whose keys are not bound to this
      // device.
      .Set(kSecUseDataProtectionKeychain, kCFBooleanTrue);
  return query;
}

}  // namespace

void MakePermanent(CfDictionary& private_key_attributes, const std::string& tag) {
  private_key_attributes.Set(kSecAttrIsPermanent, kCFBooleanTrue)
      .Set(kSecAttrApplicationTag, CfData(AsBytes(tag)))
      .Set(kSecAttrLabel, CfString("Device key " + tag));
}

ScopedSecKey FindInKeychain(const std::string& tag) {
  CfDictionary query = ItemQuery(tag);
  query.Set(kSecReturnRef, kCFBooleanTrue).Set(kSecMatchLimit, kSecMatchLimitOne);
  CFTypeRef found = nullptr;
  const OSStatus status = SecItemCopyMatching(query.get(), &found);
  // A query with kSecReturnRef for one item of class key gives a SecKey.
  ScopedSecKey key(static_cast<SecKeyRef>(const_cast<void*>(found)));
  if (status == errSecItemNotFound) return nullptr;
  if (status != errSecSuccess) throw AppleError("look the key up in the keychain", status);
  return key;
}

ScopedSecKey OpenFromKeychain(const std::string& tag) {
  ScopedSecKey key = FindInKeychain(tag);
  if (!key) throw AppleError("find the key in the keychain", errSecItemNotFound);
  return key;
}

void DeleteFromKeychain(const std::string& tag) {
  const OSStatus status = SecItemDelete(ItemQuery(tag).get());
  if (status != errSecSuccess && status != errSecItemNotFound) {
    throw AppleError("delete the key from the keychain", status);
  }
}

}  // namespace device_key
