#include "providers/apple/sec_key.h"

#include "crypto/p256.h"
#include "platform/error.h"
#include "providers/apple/apple_status.h"

namespace device_key {
namespace {

constexpr int kKeyBits = 256;
constexpr size_t kCoordinateSize = 32;

}  // namespace

CfDictionary P256Attributes() {
  CfDictionary attributes;
  attributes.Set(kSecAttrKeyType, kSecAttrKeyTypeECSECPrimeRandom)
      .Set(kSecAttrKeySizeInBits, CfNumber(kKeyBits));
  return attributes;
}

ScopedSecKey CreateSecKey(const CfDictionary& attributes) {
  CfErrorSlot error;
  ScopedSecKey key(SecKeyCreateRandomKey(attributes.get(), error.receive()));
  if (!key) throw AppleErrorMakingKey(error.get());
  return key;
}

ScopedCf<CFDictionaryRef> AttributesOf(SecKeyRef key) {
  ScopedCf<CFDictionaryRef> attributes(SecKeyCopyAttributes(key));
  if (!attributes) {
    throw DeviceKeyError(ErrorCode::kPlatformError, "macOS did not return the key's attributes");
  }
  return attributes;
}

Bytes SpkiOf(SecKeyRef private_key) {
  const ScopedSecKey public_key(SecKeyCopyPublicKey(private_key));
  if (!public_key) {
    throw DeviceKeyError(ErrorCode::kPlatformError, "macOS did not return the public key");
  }
  CfErrorSlot error;
  const ScopedCf<CFDataRef> data(
      SecKeyCopyExternalRepresentation(public_key.get(), error.receive()));
  if (!data) throw AppleError("read the public key", error.get());
  // ANSI X9.63: 04 || X || Y, as SecKeyCopyExternalRepresentation promises for elliptic curves.
  const Bytes point = BytesOf(data.get());
  if (point.size() != 1 + 2 * kCoordinateSize || point[0] != 0x04) {
    throw DeviceKeyError(ErrorCode::kCryptoError,
                         "macOS returned a public key that is not an uncompressed P-256 point");
  }
  return SpkiFromPoint(ByteView(point).subspan(1, kCoordinateSize),
                       ByteView(point).subspan(1 + kCoordinateSize));
}

Bytes SignDigest(SecKeyRef private_key, const Sha256Digest& digest) {
  CfErrorSlot error;
  const ScopedCf<CFDataRef> signature(
      SecKeyCreateSignature(private_key, kSecKeyAlgorithmECDSASignatureDigestX962SHA256,
                            CfData(digest).get(), error.receive()));
  if (signature) return BytesOf(signature.get());
  const DeviceKeyError failure = AppleError("sign with the key", error.get());
  if (!HasStatus(failure, errSecAuthFailed)) throw failure;
  // For a key that was opened, this status means that the person failed to authenticate.
  throw DeviceKeyError(ErrorCode::kUserPresenceRequired, failure.what(), failure.platform_status());
}

void CheckCannotBeExported(SecKeyRef private_key) {
  const ScopedCf<CFDictionaryRef> attributes = AttributesOf(private_key);
  const CFTypeRef extractable = CFDictionaryGetValue(attributes.get(), kSecAttrIsExtractable);
  if (extractable == nullptr || !CFEqual(extractable, kCFBooleanTrue)) {
    CfErrorSlot error;
    const ScopedCf<CFDataRef> data(SecKeyCopyExternalRepresentation(private_key, error.receive()));
    if (!data) return;
  }
  throw DeviceKeyError(ErrorCode::kCryptoError,
                       "macOS made a key that can be exported, although a key that cannot be "
                       "exported was requested; the key is not kept");
}

}  // namespace device_key
