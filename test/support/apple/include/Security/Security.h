// The part of Security.framework that the Apple providers use, declared from its documentation. The
// values of the constants are from Security/SecBase.h and Security/SecAccessControl.h.
#ifndef DEVICE_KEY_TEST_SUPPORT_APPLE_SECURITY_H_
#define DEVICE_KEY_TEST_SUPPORT_APPLE_SECURITY_H_

#include <CoreFoundation/CoreFoundation.h>

extern "C" {

using SecKeyRef = struct __SecKey*;
using SecAccessControlRef = struct __SecAccessControl*;
using SecAccessControlCreateFlags = CFOptionFlags;
using SecKeyAlgorithm = CFStringRef;

enum : OSStatus {
  errSecSuccess = 0,
  errSecUnimplemented = -4,
  errSecDiskFull = -34,
  errSecParam = -50,
  errSecUserCanceled = -128,
  errSecNotAvailable = -25291,
  errSecAuthFailed = -25293,
  errSecNoSuchKeychain = -25294,
  errSecItemNotFound = -25300,
  errSecNoDefaultKeychain = -25307,
  errSecInteractionNotAllowed = -25308,
  errSecInteractionRequired = -25315,
  errSecInDarkWake = -25320,
  errSecDecode = -26275,
  errSecMissingEntitlement = -34018,
  errSecInvalidKeyBlob = -67599,
};

enum : SecAccessControlCreateFlags {
  kSecAccessControlUserPresence = 1u << 0,
  kSecAccessControlPrivateKeyUsage = 1u << 30,
};

extern const CFStringRef kSecAttrAccessControl;
extern const CFStringRef kSecAttrAccessible;
extern const CFStringRef kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly;
extern const CFStringRef kSecAttrApplicationTag;
extern const CFStringRef kSecAttrIsExtractable;
extern const CFStringRef kSecAttrIsPermanent;
extern const CFStringRef kSecAttrKeyClass;
extern const CFStringRef kSecAttrKeyClassPrivate;
extern const CFStringRef kSecAttrKeySizeInBits;
extern const CFStringRef kSecAttrKeyType;
extern const CFStringRef kSecAttrKeyTypeECSECPrimeRandom;
extern const CFStringRef kSecAttrLabel;
extern const CFStringRef kSecAttrTokenID;
extern const CFStringRef kSecAttrTokenIDSecureEnclave;
extern const CFStringRef kSecClass;
extern const CFStringRef kSecClassKey;
extern const CFStringRef kSecMatchLimit;
extern const CFStringRef kSecMatchLimitOne;
extern const CFStringRef kSecPrivateKeyAttrs;
extern const CFStringRef kSecReturnRef;
extern const CFStringRef kSecUseAuthenticationContext;
extern const CFStringRef kSecUseDataProtectionKeychain;
extern const SecKeyAlgorithm kSecKeyAlgorithmECDSASignatureDigestX962SHA256;

SecAccessControlRef SecAccessControlCreateWithFlags(CFAllocatorRef allocator, CFTypeRef protection,
                                                    SecAccessControlCreateFlags flags,
                                                    CFErrorRef* error);
CFStringRef SecCopyErrorMessageString(OSStatus status, void* reserved);
OSStatus SecItemCopyMatching(CFDictionaryRef query, CFTypeRef* result);
OSStatus SecItemDelete(CFDictionaryRef query);
CFDictionaryRef SecKeyCopyAttributes(SecKeyRef key);
CFDataRef SecKeyCopyExternalRepresentation(SecKeyRef key, CFErrorRef* error);
SecKeyRef SecKeyCopyPublicKey(SecKeyRef key);
SecKeyRef SecKeyCreateRandomKey(CFDictionaryRef parameters, CFErrorRef* error);
CFDataRef SecKeyCreateSignature(SecKeyRef key, SecKeyAlgorithm algorithm, CFDataRef data,
                                CFErrorRef* error);
CFTypeID SecKeyGetTypeID(void);
SecKeyRef SecKeyCreateWithData(CFDataRef data, CFDictionaryRef attributes, CFErrorRef* error);

}  // extern "C"

#endif  // DEVICE_KEY_TEST_SUPPORT_APPLE_SECURITY_H_
