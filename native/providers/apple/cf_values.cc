#include "providers/apple/cf_values.h"

#include <utility>

#include "platform/error.h"

namespace device_key {
namespace {

template <class Ref>
ScopedCf<Ref> Owned(Ref object) {
  if (object == nullptr) {
    throw DeviceKeyError(ErrorCode::kPlatformError, "CoreFoundation has no memory left");
  }
  return ScopedCf<Ref>(object);
}

}  // namespace

ScopedCf<CFStringRef> CfString(std::string_view utf8) {
  return Owned(CFStringCreateWithBytes(kCFAllocatorDefault,
                                       reinterpret_cast<const UInt8*>(utf8.data()),
                                       static_cast<CFIndex>(utf8.size()), kCFStringEncodingUTF8,
                                       /*isExternalRepresentation=*/false));
}

ScopedCf<CFDataRef> CfData(ByteView bytes) {
  return Owned(CFDataCreate(kCFAllocatorDefault, bytes.data(), static_cast<CFIndex>(bytes.size())));
}

ScopedCf<CFNumberRef> CfNumber(int value) {
  return Owned(CFNumberCreate(kCFAllocatorDefault, kCFNumberIntType, &value));
}

Bytes BytesOf(CFDataRef data) {
  const UInt8* begin = CFDataGetBytePtr(data);
  return Bytes(begin, begin + CFDataGetLength(data));
}

std::string TextOf(CFStringRef text) {
  // The size counts no NUL.
  const CFIndex size =
      CFStringGetMaximumSizeForEncoding(CFStringGetLength(text), kCFStringEncodingUTF8) + 1;
  std::string utf8(static_cast<size_t>(size), '\0');
  if (!CFStringGetCString(text, utf8.data(), size, kCFStringEncodingUTF8)) return {};
  utf8.resize(utf8.find('\0'));
  return utf8;
}

CFDataRef DataIn(CFDictionaryRef dictionary, CFStringRef key) {
  const CFTypeRef value = CFDictionaryGetValue(dictionary, key);
  if (value == nullptr || CFGetTypeID(value) != CFDataGetTypeID()) return nullptr;
  return static_cast<CFDataRef>(value);
}

CfDictionary::CfDictionary()
    : dictionary_(
          Owned(CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks,
                                          &kCFTypeDictionaryValueCallBacks))) {}

CfDictionary& CfDictionary::Set(CFStringRef key, CFTypeRef value) {
  CFDictionarySetValue(dictionary_.get(), key, value);
  return *this;
}

}  // namespace device_key
