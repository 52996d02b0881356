// Conversions between CoreFoundation's values and C++ values.
#ifndef DEVICE_KEY_PROVIDERS_APPLE_CF_VALUES_H_
#define DEVICE_KEY_PROVIDERS_APPLE_CF_VALUES_H_

#include <CoreFoundation/CoreFoundation.h>

#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "providers/apple/scoped_cf.h"

namespace device_key {

// All throw `platform_error` when memory has run out.
ScopedCf<CFStringRef> CfString(std::string_view utf8);
ScopedCf<CFDataRef> CfData(ByteView bytes);
ScopedCf<CFNumberRef> CfNumber(int value);

Bytes BytesOf(CFDataRef data);
std::string TextOf(CFStringRef text);  // UTF-8

// The value of `key` when it is data, else null; `dictionary` still owns it.
CFDataRef DataIn(CFDictionaryRef dictionary, CFStringRef key);

// Builds a dictionary for the attributes and queries of Security.framework. It retains its keys and
// values.
class CfDictionary {
 public:
  CfDictionary();

  CfDictionary& Set(CFStringRef key, CFTypeRef value);
  template <class Pointer>
  CfDictionary& Set(CFStringRef key, const std::unique_ptr<Pointer, CfReleaser>& value) {
    return Set(key, static_cast<CFTypeRef>(value.get()));
  }
  CfDictionary& Set(CFStringRef key, const CfDictionary& value) { return Set(key, value.get()); }

  CFDictionaryRef get() const { return dictionary_.get(); }

 private:
  ScopedCf<CFMutableDictionaryRef> dictionary_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_APPLE_CF_VALUES_H_
