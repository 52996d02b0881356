#include "security_stand_in.h"

#include <objc/runtime.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/acl.h>

#include <atomic>
#include <cerrno>
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

enum class Kind {
  kString = 1,
  kData,
  kNumber,
  kBoolean,
  kDictionary,
  kError,
  kKey,
  kControl,
  kContext
};

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
  explicit Number(int64_t v) : Object(Kind::kNumber), value(v) {}
  const int64_t value;
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
  explicit Error(const Answer& a, Error* cause = nullptr)
      : Object(Kind::kError),
        domain(new String(a.domain)),
        code(a.code),
        enclave_status(a.enclave_status),
        underlying(cause) {}
  ~Error() override {
    Release(domain);
    if (underlying != nullptr) Release(underlying);
  }
  String* const domain;
  const CFIndex code;
  const std::optional<int64_t> enclave_status;
  Error* const underlying;  // may be null
};
struct Context : Object {
  Context() : Object(Kind::kContext) {}
  bool confirmed = false;
};

struct Item {
  Pkey pkey;
  bool enclave, exportable, presence;
  bool from_file = false;  // looked up in the login keychain
};
struct Key : Object {
  Key(Item i, bool is_private, const void* authentication_context = nullptr)
      : Object(Kind::kKey),
        item(std::move(i)),
        private_half(is_private),
        context(authentication_context) {
    if (context != nullptr) Retain(context);
  }
  ~Key() override {
    if (context != nullptr) Release(context);
  }
  const Item item;
  const bool private_half;
  const void* const context;
};

template <class T, class Ref>
T* As(Ref ref) {
  return static_cast<T*>(static_cast<Object*>(const_cast<void*>(static_cast<const void*>(ref))));
}

std::mutex mutex;
Mac mac;
std::map<std::string, Item> keychain, file_keychain;
size_t prompts = 0;
std::vector<SecAccessControlCreateFlags> flags_made;
std::map<std::string, size_t> calls;

bool Fails(CFErrorRef* error, const Answer& answer) {
  *error = reinterpret_cast<CFErrorRef>(static_cast<Object*>(new Error(answer)));
  return true;
}

// Fails like SecKeyCreateRandomKey after an error of the token: with an OSStatus, and with the
// token's error as underlying error (SecErrorGetOSStatus in Apple's published SecItem.m, SecError
// in its SecCFError.c).
bool FailsAsToken(CFErrorRef* error, const Answer& answer) {
  OSStatus status = -26276;  // errSecInternal, which the SDK's headers do not have
  if (answer.domain == "NSOSStatusErrorDomain") return Fails(error, answer);
  if (answer.domain == "CryptoTokenKit") {
    switch (answer.code) {
      case -8:
        status = errSecParam;
        break;
      case -1:
        status = errSecUnimplemented;
        break;
      case -4:
        status = errSecUserCanceled;
        break;
      case -3:
        status = errSecDecode;
        break;
      case -6:
      case -7:
        status = errSecItemNotFound;
        break;
      default:
        break;
    }
  } else if (answer.domain == "com.apple.LocalAuthentication") {
    switch (answer.code) {
      case -2:
        status = errSecUserCanceled;
        break;
      case -1001:
        status = errSecParam;
        break;
      case -1004:
        status = errSecInteractionNotAllowed;
        break;
      default:
        status = errSecAuthFailed;
        break;
    }
  }
  *error = reinterpret_cast<CFErrorRef>(
      static_cast<Object*>(new Error({.code = status}, new Error(answer))));
  return true;
}

// Counts the call and returns the answer that a test has prepared, if any. Code 0 means that the
// call does its work.
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
// Asks a person, who always confirms, unless this context is already confirmed.
void Ask(const void* context) {
  if (context != nullptr && As<Context>(context)->confirmed) return;
  ++prompts;
  if (context != nullptr) As<Context>(context)->confirmed = true;
}

bool IsTrue(const void* value) { return value != nullptr && As<Truth>(value)->value; }
std::string TagIn(CFDictionaryRef dictionary) {
  const void* tag = Get(dictionary, kSecAttrApplicationTag);
  if (tag == nullptr) return {};
  const Blob& bytes = As<Data>(tag)->bytes;
  return std::string(bytes.begin(), bytes.end());
}

Pkey NewPkey() { return Pkey(EVP_EC_gen("P-256"), EVP_PKEY_free); }

// Not encrypted, only marked with the Mac's serial number. Contains the access control.
Blob Wrap(const Item& item) {
  uint8_t* der = nullptr;
  const int size = i2d_PrivateKey(item.pkey.get(), &der);
  Blob blob(mac.serial.begin(), mac.serial.end());
  blob.push_back(item.presence ? 1 : 0);
  blob.insert(blob.end(), der, der + size);
  OPENSSL_free(der);
  return blob;
}
std::optional<Item> Unwrap(const Blob& blob) {
  const size_t prefix = mac.serial.size() + 1;
  if (blob.size() <= prefix || std::memcmp(blob.data(), mac.serial.c_str(), prefix - 1) != 0) {
    return std::nullopt;
  }
  const uint8_t* der = blob.data() + prefix;
  EVP_PKEY* pkey = d2i_AutoPrivateKey(nullptr, &der, static_cast<long>(blob.size() - prefix));
  return Item{Pkey(pkey, EVP_PKEY_free), true, false, blob[prefix - 1] == 1};
}

SecKeyRef AsRef(Key* key) { return reinterpret_cast<SecKeyRef>(static_cast<Object*>(key)); }

OSStatus CheckQuery(CFDictionaryRef query) {
  const bool private_alone = Get(query, kSecAttrKeyClass) == kSecAttrKeyClassPrivate;
  if (Get(query, kSecClass) != kSecClassKey || !private_alone || TagIn(query).empty() ||
      Get(query, kSecUseDataProtectionKeychain) == nullptr) {
    return errSecParam;
  }
  return errSecSuccess;
}

// Whether the query is for the data-protection keychain although the host may not use that.
bool LacksEntitlement(CFDictionaryRef query) {
  return !mac.entitled && IsTrue(Get(query, kSecUseDataProtectionKeychain));
}

std::map<std::string, Item>& KeychainOf(CFDictionaryRef query) {
  return IsTrue(Get(query, kSecUseDataProtectionKeychain)) ? keychain : file_keychain;
}

std::vector<std::string> TagsOf(const std::map<std::string, Item>& items) {
  const std::lock_guard lock(mutex);
  std::vector<std::string> tags;
  for (const auto& [tag, item] : items) tags.push_back(tag);
  return tags;
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
  file_keychain.clear();
  prompts = 0;
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
std::vector<std::string> KeychainTags() { return TagsOf(keychain); }
std::vector<std::string> FileKeychainTags() { return TagsOf(file_keychain); }
size_t Prompts() {
  const std::lock_guard lock(mutex);
  return prompts;
}
std::vector<SecAccessControlCreateFlags> CreatedFlags() {
  const std::lock_guard lock(mutex);
  return flags_made;
}
bool IsConfirmed(CFTypeRef context) { return As<Context>(context)->confirmed; }
void Confirm(CFTypeRef context) { As<Context>(context)->confirmed = true; }
size_t Calls(const std::string& function) {
  const std::lock_guard lock(mutex);
  return calls[function];
}

}  // namespace device_key::stand_in

extern "C" id objc_alloc_init(Class);

using namespace device_key::stand_in;  // the real functions are in no namespace

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
CONSTANT(kCFErrorUnderlyingErrorKey);
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
CONSTANT(kSecUseAuthenticationContext);
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
CFTypeID CFNumberGetTypeID(void) { return static_cast<CFTypeID>(Kind::kNumber); }
Boolean CFNumberGetValue(CFNumberRef number, CFNumberType, void* value) {
  *static_cast<int64_t*>(value) = As<Number>(number)->value;
  return true;
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
CFDictionaryRef CFErrorCopyUserInfo(CFErrorRef error) {
  auto* details = Made<CFMutableDictionaryRef>(new Dictionary());
  if (const auto status = As<Error>(error)->enclave_status) {
    Object* name = new String("AKSError");
    Object* value = new Number(*status);
    CFDictionarySetValue(details, name, value);
    Release(name);
    Release(value);
  }
  if (const Error* underlying = As<Error>(error)->underlying) {
    CFDictionarySetValue(details, kCFErrorUnderlyingErrorKey,
                         static_cast<const Object*>(underlying));
  }
  return details;
}
CFTypeID CFErrorGetTypeID(void) { return static_cast<CFTypeID>(Kind::kError); }

Class objc_getClass(const char* name) {
  const std::lock_guard lock(mutex);
  static char local_authentication_context;
  if (!mac.has_local_authentication || std::string(name) != "LAContext") return nullptr;
  return reinterpret_cast<Class>(&local_authentication_context);
}
id objc_alloc_init(Class) { return Made<id>(new Context()); }

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
  // Every program may read the access group "com.apple.token", so no program is refused, and it
  // finds no items of other groups (SecTaskCopyAccessGroups in Apple's published client.c).
  if (LacksEntitlement(query)) return errSecItemNotFound;
  const auto found = KeychainOf(query).find(TagIn(query));
  if (found == KeychainOf(query).end()) return errSecItemNotFound;
  if (mac.finds_something_else) {
    *result = static_cast<Object*>(new Number(0));
    return errSecSuccess;
  }
  Item item = found->second;
  const void* context = Get(query, kSecUseAuthenticationContext);
  if (!item.enclave && item.presence) {
    Ask(context);  // a software key is decrypted here
    item.presence = false;
  }
  item.from_file = &KeychainOf(query) == &file_keychain;
  *result = static_cast<Object*>(new Key(item, true, context));
  return errSecSuccess;
}

OSStatus SecItemDelete(CFDictionaryRef query) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecItemDelete", &answer)) return static_cast<OSStatus>(answer.code);
  if (const OSStatus status = CheckQuery(query); status != errSecSuccess) return status;
  // No program may write that access group (SecurityClientCopyWritableAccessGroups in
  // SecItemServer.c).
  if (LacksEntitlement(query)) return errSecMissingEntitlement;
  return KeychainOf(query).erase(TagIn(query)) > 0 ? errSecSuccess : errSecItemNotFound;
}

CFTypeID SecKeyGetTypeID(void) { return static_cast<CFTypeID>(Kind::kKey); }

CFDictionaryRef SecKeyCopyAttributes(SecKeyRef ref) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCopyAttributes", &answer)) return nullptr;
  const Key& key = *As<Key>(ref);
  auto* attributes = Made<CFMutableDictionaryRef>(new Dictionary());
  if (!key.item.enclave) {
    CFDictionarySetValue(
        attributes, kSecAttrIsExtractable,
        key.item.exportable && !mac.exports_keys ? kCFBooleanTrue : kCFBooleanFalse);
  }
  if (key.item.enclave) {
    CFDictionarySetValue(attributes, kSecAttrTokenID, kSecAttrTokenIDSecureEnclave);
    if (mac.gives_wrapped) {
      Object* name = new String("toid");
      Object* value = new Data(Wrap(key.item));
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
  if (key.private_half && !key.item.exportable && Fails(error, {errSecParam})) return nullptr;
  Blob point(65);
  size_t size = 0;
  EVP_PKEY_get_octet_string_param(key.item.pkey.get(), "pub", point.data(), point.size(), &size);
  return Made<CFDataRef>(new Data(std::move(point)));
}

SecKeyRef SecKeyCopyPublicKey(SecKeyRef ref) {
  const std::lock_guard lock(mutex);
  Answer answer;
  if (TakeAnswer("SecKeyCopyPublicKey", &answer)) return nullptr;
  if (As<Key>(ref)->item.from_file) return nullptr;
  return AsRef(new Key({As<Key>(ref)->item.pkey, false, true, false}, false));
}

SecKeyRef SecKeyCreateRandomKey(CFDictionaryRef parameters, CFErrorRef* error) {
  Sleep();
  const std::lock_guard lock(mutex);
  Answer answer;
  const bool enclave = Get(parameters, kSecAttrTokenID) == kSecAttrTokenIDSecureEnclave;
  if (TakeAnswer("SecKeyCreateRandomKey", &answer) &&
      (enclave ? FailsAsToken(error, answer) : Fails(error, answer))) {
    return nullptr;
  }
  const auto* attributes = static_cast<CFDictionaryRef>(Get(parameters, kSecPrivateKeyAttrs));
  if (enclave && !mac.has_enclave && FailsAsToken(error, {-7, "CryptoTokenKit"})) return nullptr;
  const bool protection = IsTrue(Get(parameters, kSecUseDataProtectionKeychain));
  const void* control = Get(attributes, kSecAttrAccessControl);
  const bool controlled = control != nullptr;
  const auto flags = controlled ? As<Control>(control)->flags : 0;
  // Private-key usage is for the enclave, which requires it.
  const bool usage = (flags & kSecAccessControlPrivateKeyUsage) != 0;
  const bool wrong = usage != enclave || (controlled && !enclave && !protection);
  if (wrong && Fails(error, {errSecParam})) return nullptr;
  if (!enclave && controlled && mac.refuses_access_control && Fails(error, {errSecAuthFailed})) {
    return nullptr;
  }
  const bool kept = protection ? mac.keeps_software_keys
                               : Get(parameters, kSecAttrIsExtractable) == kCFBooleanFalse;
  const Item item{NewPkey(), enclave && !mac.ignores_token, mac.exports_keys || !(enclave || kept),
                  (flags & kSecAccessControlUserPresence) != 0};
  if (IsTrue(Get(attributes, kSecAttrIsPermanent))) {
    if (protection && !mac.entitled && Fails(error, {errSecMissingEntitlement})) return nullptr;
    if (!protection && !mac.has_default_keychain && Fails(error, {errSecNoDefaultKeychain})) {
      return nullptr;
    }
    KeychainOf(parameters)[TagIn(attributes)] = item;
  }
  return AsRef(new Key(item, true));
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
  if (As<Key>(ref)->item.presence) Ask(As<Key>(ref)->context);
  Blob digest = As<Data>(data)->bytes;
  if (mac.signs_wrongly) digest[0] ^= 1;
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new(As<Key>(ref)->item.pkey.get(), nullptr), &EVP_PKEY_CTX_free);
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
  // Like the real function: without the object, the token makes a new key.
  std::optional<Item> item = wrapped == nullptr || mac.mints_on_open
                                 ? Item{NewPkey(), true, false, false}
                                 : Unwrap(As<Data>(wrapped)->bytes);
  if (!item && Fails(error, {-3, "CryptoTokenKit"})) return nullptr;
  return AsRef(new Key(*std::move(item), true, Get(attributes, kSecUseAuthenticationContext)));
}

// An access list is the vector of its entries; an entry is a pointer to one of them.
acl_t acl_get_fd_np(int, acl_type_t type) {
  const std::lock_guard lock(mutex);
  if (type != ACL_TYPE_EXTENDED) {
    errno = EINVAL;
    return nullptr;
  }
  if (mac.access_list.empty()) {
    errno = ENOENT;
    return nullptr;
  }
  ++live;
  return reinterpret_cast<acl_t>(new std::vector<AccessListEntry>(mac.access_list));
}
int acl_free(void* list) {
  --live;
  delete static_cast<std::vector<AccessListEntry>*>(list);
  return 0;
}
// Unlike in the POSIX draft, 0 means an entry, and -1 means that there are no more.
int acl_get_entry(acl_t list, int which, acl_entry_t* entry) {
  auto& entries = *reinterpret_cast<std::vector<AccessListEntry>*>(list);
  size_t index = 0;
  if (which == ACL_NEXT_ENTRY) {
    index = static_cast<size_t>(reinterpret_cast<AccessListEntry*>(*entry) - entries.data()) + 1;
  }
  if (index >= entries.size()) {
    errno = EINVAL;
    return -1;
  }
  *entry = reinterpret_cast<acl_entry_t>(&entries[index]);
  return 0;
}
int acl_get_tag_type(acl_entry_t entry, acl_tag_t* tag) {
  *tag = reinterpret_cast<AccessListEntry*>(entry)->allows ? ACL_EXTENDED_ALLOW : ACL_EXTENDED_DENY;
  return 0;
}
int acl_get_permset_mask_np(acl_entry_t entry, acl_permset_mask_t* mask) {
  *mask = reinterpret_cast<AccessListEntry*>(entry)->permissions;
  return 0;
}

}  // extern "C"
