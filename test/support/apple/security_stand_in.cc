#include "security_stand_in.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace device_key::stand_in {
namespace {

using Blob = std::vector<uint8_t>;
using Pkey = std::shared_ptr<EVP_PKEY>;

enum class Kind { kString = 1, kData, kNumber, kBoolean, kDictionary, kError, kKey, kControl };

std::atomic<size_t> live{0};

struct Object {
  explicit Object(Kind k, bool is_constant = false) : kind(k), constant(is_constant) {
    if (!constant) ++live;
  }
  virtual ~Object() {
    if (!constant) --live;
  }
  const Kind kind;
  const bool constant;
  std::atomic<int> references{1};
};

void Retain(const void* object) {
  auto* o = static_cast<Object*>(const_cast<void*>(object));
  if (!o->constant) ++o->references;
}
void Release(const void* object) {
  auto* o = static_cast<Object*>(const_cast<void*>(object));
  if (!o->constant && --o->references == 0) delete o;
}

struct String : Object {
  explicit String(std::string t, bool is_constant = false)
      : Object(Kind::kString, is_constant), text(std::move(t)) {}
  const std::string text;
};
struct Data : Object {
  explicit Data(Blob b) : Object(Kind::kData), bytes(std::move(b)) {}
  const Blob bytes;
};
struct Number : Object {
  explicit Number(int v) : Object(Kind::kNumber), value(v) {}
  const int value;
};
struct Truth : Object {
  explicit Truth(bool v) : Object(Kind::kBoolean, true), value(v) {}
  const bool value;
};
struct Control : Object {
  explicit Control(SecAccessControlCreateFlags f) : Object(Kind::kControl), flags(f) {}
  const SecAccessControlCreateFlags flags;
};
struct Dictionary : Object {
  Dictionary() : Object(Kind::kDictionary) {}
  ~Dictionary() override {
    for (const auto& [key, value] : entries) {
      Release(key);
      Release(value);
    }
  }
  std::vector<std::pair<const void*, const void*>> entries;
};
struct Error : Object {
  explicit Error(const Answer& a)
      : Object(Kind::kError), domain(new String(a.domain)), code(a.code) {}
  ~Error() override { Release(domain); }
  String* const domain;
  const CFIndex code;
};
struct Key : Object {
  Key(Pkey k, bool is_private, bool in_enclave, bool can_export)
      : Object(Kind::kKey),
        pkey(std::move(k)),
        private_half(is_private),
        enclave(in_enclave),
        exportable(can_export) {}
  const Pkey pkey;
  const bool private_half, enclave, exportable;
};

template <class T, class Ref>
T* As(Ref ref) {
  return static_cast<T*>(static_cast<Object*>(const_cast<void*>(static_cast<const void*>(ref))));
}

struct Item {
  Pkey pkey;
  bool enclave, exportable;
};

std::mutex mutex;
Mac mac;
std::map<std::string, Item> keychain;
std::vector<SecAccessControlCreateFlags> flags_made;
std::map<std::string, size_t> calls;

bool Fails(CFErrorRef* error, const Answer& answer) {
  *error = reinterpret_cast<CFErrorRef>(static_cast<Object*>(new Error(answer)));
  return true;
}

// Notes the call; the answer that a test has put in its way, if any. Code 0 lets the call through.
bool TakeAnswer(const std::string& function, Answer* answer) {
  ++calls[function];
  auto& queue = mac.answers[function];
  if (queue.empty()) return false;
  *answer = queue.front();
  queue.erase(queue.begin());
  return answer->code != 0;
}

const void* Get(CFDictionaryRef dictionary, CFStringRef key) {
  return CFDictionaryGetValue(dictionary, key);
}
bool IsTrue(const void* value) { return value != nullptr && As<Truth>(value)->value; }
std::string TagIn(CFDictionaryRef dictionary) {
  const void* tag = Get(dictionary, kSecAttrApplicationTag);
  if (tag == nullptr) return {};
  const Blob& bytes = As<Data>(tag)->bytes;
  return std::string(bytes.begin(), bytes.end());
}

Pkey NewPkey() { return Pkey(EVP_EC_gen("P-256"), EVP_PKEY_free); }

// "Encrypted" by naming the Mac: nobody attacks the stand-in.
Blob Wrap(const Pkey& pkey) {
  uint8_t* der = nullptr;
  const int size = i2d_PrivateKey(pkey.get(), &der);
  Blob blob(mac.serial.begin(), mac.serial.end());
  blob.push_back(0);
  blob.insert(blob.end(), der, der + size);
  OPENSSL_free(der);
  return blob;
}
Pkey Unwrap(const Blob& blob) {
  const size_t prefix = mac.serial.size() + 1;
  if (blob.size() <= prefix || std::memcmp(blob.data(), mac.serial.c_str(), prefix) != 0) {
    return nullptr;
  }
  const uint8_t* der = blob.data() + prefix;
  return Pkey(d2i_AutoPrivateKey(nullptr, &der, static_cast<long>(blob.size() - prefix)),
              EVP_PKEY_free);
}

SecKeyRef AsRef(Key* key) { return reinterpret_cast<SecKeyRef>(static_cast<Object*>(key)); }

OSStatus CheckQuery(CFDictionaryRef query) {
  const bool private_alone = Get(query, kSecAttrKeyClass) == kSecAttrKeyClassPrivate;
  if (Get(query, kSecClass) != kSecClassKey || !private_alone || TagIn(query).empty() ||
      !IsTrue(Get(query, kSecUseDataProtectionKeychain))) {
    return errSecParam;
  }
  return mac.entitled ? errSecSuccess : errSecMissingEntitlement;
}

void Sleep() {
  std::chrono::milliseconds delay;
  {
    const std::lock_guard lock(mutex);
    delay = mac.delay;
  }
  std::this_thread::sleep_for(delay);
}

}  // namespace

void Reset() {
  const std::lock_guard lock(mutex);
  mac = Mac();
  keychain.clear();
  flags_made.clear();
  calls.clear();
}
void Change(const std::function<void(Mac&)>& change) {
  const std::lock_guard lock(mutex);
  change(mac);
}
void Answers(const std::string& function, std::vector<Answer> answers) {
  Change([&](Mac& m) { m.answers[function] = std::move(answers); });
}
size_t LiveObjects() { return live; }
std::vector<std::string> KeychainTags() {
  const std::lock_guard lock(mutex);
  std::vector<std::string> tags;
  for (const auto& [tag, item] : keychain) tags.push_back(tag);
  return tags;
}
std::vector<SecAccessControlCreateFlags> CreatedFlags() {
  const std::lock_guard lock(mutex);
  return flags_made;
}
size_t Calls(const std::string& function) {
  const std::lock_guard lock(mutex);
  return calls[function];
}

}  // namespace device_key::stand_in

using namespace device_key::stand_in;  // what follows is not in a namespace in the real ones

namespace {
template <class Ref>
Ref Constant(const char* text) {
  return reinterpret_cast<Ref>(static_cast<Object*>(new String(text, true)));
}
template <class Ref>
Ref Made(Object* object) {
  return reinterpret_cast<Ref>(object);
}
}  // namespace

extern "C" {

const CFAllocatorRef kCFAllocatorDefault = nullptr;
const CFBooleanRef kCFBooleanTrue = Made<CFBooleanRef>(new Truth(true));
const CFBooleanRef kCFBooleanFalse = Made<CFBooleanRef>(new Truth(false));
const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks{};
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks{};

#define CONSTANT(name) const CFStringRef name = Constant<CFStringRef>(#name)
CONSTANT(kSecAttrAccessControl);
CONSTANT(kSecAttrAccessible);
CONSTANT(kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly);
CONSTANT(kSecAttrApplicationTag);
CONSTANT(kSecAttrIsExtractable);
CONSTANT(kSecAttrIsPermanent);
CONSTANT(kSecAttrKeyClass);
CONSTANT(kSecAttrKeyClassPrivate);
CONSTANT(kSecAttrKeySizeInBits);
CONSTANT(kSecAttrKeyType);
CONSTANT(kSecAttrKeyTypeECSECPrimeRandom);
CONSTANT(kSecAttrLabel);
CONSTANT(kSecAttrTokenID);
CONSTANT(kSecAttrTokenIDSecureEnclave);
CONSTANT(kSecClass);
CONSTANT(kSecClassKey);
CONSTANT(kSecMatchLimit);
CONSTANT(kSecMatchLimitOne);
CONSTANT(kSecPrivateKeyAttrs);
CONSTANT(kSecReturnRef);
CONSTANT(kSecUseDataProtectionKeychain);
CONSTANT(kSecKeyAlgorithmECDSASignatureDigestX962SHA256);
#undef CONSTANT

void CFRelease(CFTypeRef object) { Release(object); }
CFTypeID CFGetTypeID(CFTypeRef object) { return static_cast<CFTypeID>(As<Object>(object)->kind); }
Boolean CFEqual(CFTypeRef a, CFTypeRef b) {
  if (a == b) return true;
  return As<Object>(a)->kind == Kind::kString && As<Object>(b)->kind == Kind::kString &&
         As<String>(a)->text == As<String>(b)->text;
}

CFStringRef CFStringCreateWithBytes(CFAllocatorRef, const UInt8* bytes, CFIndex size,
                                    CFStringEncoding, Boolean) {
  return Made<CFStringRef>(new String(std::string(bytes, bytes + size)));
}
CFIndex CFStringGetLength(CFStringRef string) {
  return static_cast<CFIndex>(As<String>(string)->text.size());
}
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding) { return 3 * length; }
Boolean CFStringGetCString(CFStringRef string, char* buffer, CFIndex size, CFStringEncoding) {
  const std::string& text = As<String>(string)->text;
  if (static_cast<CFIndex>(text.size()) >= size) return false;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return true;
}

CFTypeID CFDataGetTypeID(void) { return static_cast<CFTypeID>(Kind::kData); }
CFDataRef CFDataCreate(CFAllocatorRef, const UInt8* bytes, CFIndex size) {
  return Made<CFDataRef>(new Data(Blob(bytes, bytes + size)));
}
const UInt8* CFDataGetBytePtr(CFDataRef data) { return As<Data>(data)->bytes.data(); }
CFIndex CFDataGetLength(CFDataRef data) {
  return static_cast<CFIndex>(As<Data>(data)->bytes.size());
}
CFNumberRef CFNumberCreate(CFAllocatorRef, CFNumberType, const void* value) {
  return Made<CFNumberRef>(new Number(*static_cast<const int*>(value)));
}

CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef, CFIndex,
                                                 const CFDictionaryKeyCallBacks*,
                                                 const CFDictionaryValueCallBacks*) {
  return Made<CFMutableDictionaryRef>(new Dictionary());
}
void CFDictionarySetValue(CFMutableDictionaryRef dictionary, const void* key, const void* value) {
  Retain(key);
  Retain(value);
  for (auto& entry : As<Dictionary>(dictionary)->entries) {
    if (!CFEqual(entry.first, key)) continue;
    Release(entry.first);
    Release(entry.second);
    entry = {key, value};
    return;
  }
  As<Dictionary>(dictionary)->entries.emplace_back(key, value);
}
const void* CFDictionaryGetValue(CFDictionaryRef dictionary, const void* key) {
  for (const auto& entry : As<Dictionary>(dictionary)->entries) {
    if (CFEqual(entry.first, key)) return entry.second;
  }
  return nullptr;
}

CFErrorDomain CFErrorGetDomain(CFErrorRef error) {
  return Made<CFStringRef>(As<Error>(error)->domain);
}
CFIndex CFErrorGetCode(CFErrorRef error) { return As<Error>(error)->code; }

SecAccessControlRef SecAccessControlCreateWithFlags(CFAllocatorRef, CFTypeRef,
                                                    SecAccessControlCreateFlags flags,
                                                    CFErrorRef* error) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecAccessControlCreateWithFlags", &answer) && Fails(error, answer)) {
    return nullptr;
  }
  flags_made.push_back(flags);
  return Made<SecAccessControlRef>(new Control(flags));
}

CFStringRef SecCopyErrorMessageString(OSStatus status, void*) {
  return Made<CFStringRef>(new String("words for " + std::to_string(status)));
}

OSStatus SecItemCopyMatching(CFDictionaryRef query, CFTypeRef* result) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecItemCopyMatching", &answer)) return static_cast<OSStatus>(answer.code);
  if (const OSStatus status = CheckQuery(query); status != errSecSuccess) return status;
  const auto item = keychain.find(TagIn(query));
  if (item == keychain.end()) return errSecItemNotFound;
  *result = static_cast<Object*>(
      new Key(item->second.pkey, true, item->second.enclave, item->second.exportable));
  return errSecSuccess;
}

OSStatus SecItemDelete(CFDictionaryRef query) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecItemDelete", &answer)) return static_cast<OSStatus>(answer.code);
  if (const OSStatus status = CheckQuery(query); status != errSecSuccess) return status;
  return keychain.erase(TagIn(query)) > 0 ? errSecSuccess : errSecItemNotFound;
}

CFDictionaryRef SecKeyCopyAttributes(SecKeyRef ref) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCopyAttributes", &answer)) return nullptr;
  const Key& key = *As<Key>(ref);
  auto* attributes = Made<CFMutableDictionaryRef>(new Dictionary());
  if (key.enclave) {
    CFDictionarySetValue(attributes, kSecAttrTokenID, kSecAttrTokenIDSecureEnclave);
    if (mac.gives_wrapped) {
      Object* name = new String("toid");
      Object* value = new Data(Wrap(key.pkey));
      CFDictionarySetValue(attributes, name, value);
      Release(name);
      Release(value);
    }
  }
  return attributes;
}

CFDataRef SecKeyCopyExternalRepresentation(SecKeyRef ref, CFErrorRef* error) {
  const std::lock_guard lock(mutex);
  const Key& key = *As<Key>(ref);
  Answer answer;
  if (TakeAnswer("SecKeyCopyExternalRepresentation", &answer) && !key.private_half &&
      Fails(error, answer)) {
    return nullptr;
  }
  if (key.private_half && !key.exportable && Fails(error, {errSecParam})) return nullptr;
  Blob point(65);
  size_t size = 0;
  EVP_PKEY_get_octet_string_param(key.pkey.get(), "pub", point.data(), point.size(), &size);
  return Made<CFDataRef>(new Data(std::move(point)));
}

SecKeyRef SecKeyCopyPublicKey(SecKeyRef ref) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCopyPublicKey", &answer)) return nullptr;
  return AsRef(new Key(As<Key>(ref)->pkey, false, false, true));
}

SecKeyRef SecKeyCreateRandomKey(CFDictionaryRef parameters, CFErrorRef* error) {
  Sleep();
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCreateRandomKey", &answer) && Fails(error, answer)) return nullptr;
  const bool enclave = Get(parameters, kSecAttrTokenID) == kSecAttrTokenIDSecureEnclave;
  const auto* attributes = static_cast<CFDictionaryRef>(Get(parameters, kSecPrivateKeyAttrs));
  if (enclave && !mac.has_enclave && Fails(error, {errSecUnimplemented})) return nullptr;
  const bool controlled = Get(attributes, kSecAttrAccessControl) != nullptr;
  if (!enclave && controlled && mac.refuses_access_control && Fails(error, {errSecAuthFailed})) {
    return nullptr;
  }
  const bool exportable =
      mac.exports_keys || (!enclave && Get(attributes, kSecAttrIsExtractable) != kCFBooleanFalse);
  const Item item{NewPkey(), enclave && !mac.ignores_token, exportable};
  if (IsTrue(Get(attributes, kSecAttrIsPermanent))) {
    if (!mac.entitled && Fails(error, {errSecMissingEntitlement})) return nullptr;
    keychain[TagIn(attributes)] = item;
  }
  return AsRef(new Key(item.pkey, true, item.enclave, item.exportable));
}

CFDataRef SecKeyCreateSignature(SecKeyRef ref, SecKeyAlgorithm algorithm, CFDataRef data,
                                CFErrorRef* error) {
  Sleep();
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCreateSignature", &answer) && Fails(error, answer)) return nullptr;
  if ((algorithm != kSecKeyAlgorithmECDSASignatureDigestX962SHA256 ||
       CFDataGetLength(data) != 32) &&
      Fails(error, {errSecParam})) {
    return nullptr;
  }
  Blob digest = As<Data>(data)->bytes;
  if (mac.signs_wrongly) digest[0] ^= 1;
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new(As<Key>(ref)->pkey.get(), nullptr), &EVP_PKEY_CTX_free);
  Blob signature(80);
  size_t size = signature.size();
  EVP_PKEY_sign_init(context.get());
  EVP_PKEY_sign(context.get(), signature.data(), &size, digest.data(), digest.size());
  signature.resize(size);
  return Made<CFDataRef>(new Data(std::move(signature)));
}

SecKeyRef SecKeyCreateWithData(CFDataRef, CFDictionaryRef attributes, CFErrorRef* error) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCreateWithData", &answer) && Fails(error, answer)) return nullptr;
  Object* name = new String("toid");
  const void* wrapped = CFDictionaryGetValue(attributes, name);
  Release(name);
  // As the real one: without the object the token makes a new key.
  Pkey pkey =
      wrapped == nullptr || mac.mints_on_open ? NewPkey() : Unwrap(As<Data>(wrapped)->bytes);
  if (!pkey && Fails(error, {-3, "CryptoTokenKit"})) return nullptr;
  return AsRef(new Key(std::move(pkey), true, true, false));
}

}  // extern "C"
