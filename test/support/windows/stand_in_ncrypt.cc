// A stand-in for ncrypt.dll, for tests with Wine, whose own ncrypt.dll does not support ECDSA keys.
// Wine's bcrypt makes the keys, so signatures are real; nothing protects the keys.
//
// Keys are stored as files in the directory of behaviour.h, which lists the misbehaviour of all
// stand-ins. This one also supports:
//   no-isolation                the software provider does not isolate keys; a status can follow
//   generic-magic               public keys are exported with the generic ECDSA magic
//   other-curve                 public keys are exported as if they were P-384 keys
//   exportable                  keys are always exportable
//   wrong-signature             signatures are of another digest
//   short-signature             signatures are a byte too short
//   stale                       a provider handle that opened one key opens no other
//   keeps-deleted               NCryptDeleteKey succeeds, and the key stays
//   slow=2000                   NCryptSignHash and NCryptFinalizeKey take that many milliseconds
//
// It is as strict as Windows is known to be, and stricter where Windows' behaviour is unknown:
//  - NCryptOpenKey, NCryptFinalizeKey and NCryptSignHash could ask the user, so they fail without
//    NCRYPT_SILENT_FLAG.
//  - The platform provider refuses every flag to NCryptDeleteKey with NTE_BAD_FLAGS, and the key
//    stays (reported by programs that ran on TPMs). It refuses flags to the other calls, too, which
//    none of those programs passes there.
//  - The platform provider takes a key name with a slash or a backslash for the path of a file
//    (Windows itself opens such keys by path), so it finds no key that was made by such a name.
//  - The software provider isolates no keys where there is no TPM (Microsoft's documentation of
//    NCryptCreatePersistedKey).
// A call with a freed handle fails. StandInMistakes counts such calls and the calls without
// NCRYPT_SILENT_FLAG; StandInOpenHandles counts the handles that have not been freed.
#include "behaviour.h"
// After <windows.h>.
#include <bcrypt.h>
#include <ncrypt.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// Not in the headers of mingw-w64.
constexpr DWORD kIsolation = 0x00020000;
constexpr SECURITY_STATUS kVbsUnavailable = static_cast<SECURITY_STATUS>(0x80090039);
constexpr ULONG kGenericMagic = 0x50444345;

struct Object {
  bool platform = false;
  bool used = false;  // of a store: a key was opened in it
  fs::path file;      // of a key
  bool isolated = false;
  DWORD policy = 0;
  BCRYPT_KEY_HANDLE key = nullptr;
  ~Object() {
    if (key != nullptr) BCryptDestroyKey(key);
  }
};

void Dawdle() {
  const auto behaviour = Behaviour();
  const auto found = behaviour.find("slow");
  if (found != behaviour.end()) Sleep(std::stoul(found->second));
}

std::mutex handles_mutex;
std::map<ULONG_PTR, std::shared_ptr<Object>> handles;
unsigned mistakes = 0;

// Null for a value that is not a handle, and for a freed handle.
std::shared_ptr<Object> From(ULONG_PTR handle) {
  const std::lock_guard lock(handles_mutex);
  const auto found = handles.find(handle);
  if (found != handles.end()) return found->second;
  ++mistakes;
  return nullptr;
}

ULONG_PTR ToHandle(std::shared_ptr<Object> object) {
  const std::lock_guard lock(handles_mutex);
  const auto handle = reinterpret_cast<ULONG_PTR>(object.get());
  handles[handle] = std::move(object);
  return handle;
}

void Forget(ULONG_PTR handle) {
  const std::lock_guard lock(handles_mutex);
  handles.erase(handle);
}

bool IsSilent(DWORD flags) {
  if ((flags & NCRYPT_SILENT_FLAG) != 0) return true;
  const std::lock_guard lock(handles_mutex);
  ++mistakes;
  return false;
}

// The flags of the calls that cannot ask the user.
bool IsAccepted(const Object& object, DWORD flags) {
  return flags == 0 || (flags == NCRYPT_SILENT_FLAG && !object.platform);
}

// Whether every operation with the TPM fails.
bool IsWithoutTpm() { return Is("no-tpm") || Is("not-ready"); }

fs::path FileOf(const Object& store, const wchar_t* name) {
  std::wstring file = store.platform ? L"platform-" : L"software-";
  for (const wchar_t* c = name; *c != 0; ++c) file += *c == L'/' ? L'+' : *c;
  return Home() / file;
}

BCRYPT_ALG_HANDLE Algorithm() {
  static const BCRYPT_ALG_HANDLE algorithm = [] {
    BCRYPT_ALG_HANDLE opened = nullptr;
    BCryptOpenAlgorithmProvider(&opened, BCRYPT_ECDSA_P256_ALGORITHM, nullptr, 0);
    return opened;
  }();
  return algorithm;
}

SECURITY_STATUS PutNumber(DWORD value, PBYTE out, DWORD size, DWORD* written) {
  *written = sizeof value;
  if (size < sizeof value) return NTE_BUFFER_TOO_SMALL;
  std::memcpy(out, &value, sizeof value);
  return 0;
}

}  // namespace

#define BEGIN(function) \
  AwaitResumption();    \
  if (const SECURITY_STATUS told = Told(#function); told != 0) return told
#define BEGIN_SILENT(function, flags)           \
  if (!IsSilent(flags)) return NTE_UI_REQUIRED; \
  BEGIN(function)
#define FIND(object, handle)                                   \
  const std::shared_ptr<Object> object##_owner = From(handle); \
  if (object##_owner == nullptr) return NTE_INVALID_HANDLE;    \
  Object& object = *object##_owner

extern "C" {

__declspec(dllexport) unsigned StandInMistakes() {
  const std::lock_guard lock(handles_mutex);
  return mistakes;
}

__declspec(dllexport) size_t StandInOpenHandles() {
  const std::lock_guard lock(handles_mutex);
  return handles.size();
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptOpenStorageProvider(NCRYPT_PROV_HANDLE* handle, LPCWSTR name, DWORD flags) {
  BEGIN(NCryptOpenStorageProvider);
  auto store = std::make_shared<Object>();
  store->platform = std::wstring(name) == L"Microsoft Platform Crypto Provider";
  if (!IsAccepted(*store, flags)) return NTE_BAD_FLAGS;
  *handle = ToHandle(std::move(store));
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptCreatePersistedKey(NCRYPT_PROV_HANDLE store_handle, NCRYPT_KEY_HANDLE* handle,
                             LPCWSTR algorithm, LPCWSTR name, DWORD, DWORD flags) {
  BEGIN(NCryptCreatePersistedKey);
  FIND(store, store_handle);
  if (store.platform && IsWithoutTpm()) return NTE_DEVICE_NOT_READY;
  if (store.platform && Is("tpm-1.2")) return NTE_NOT_SUPPORTED;
  if ((flags & ~(NCRYPT_OVERWRITE_KEY_FLAG | (store.platform ? 0 : kIsolation))) != 0) {
    return NTE_BAD_FLAGS;
  }
  if ((flags & kIsolation) != 0 && (Is("no-isolation") || Is("no-tpm"))) {
    const SECURITY_STATUS told = Told("no-isolation");
    return told != 0 ? told : kVbsUnavailable;
  }
  if (std::wstring(algorithm) != BCRYPT_ECDSA_P256_ALGORITHM) return NTE_NOT_SUPPORTED;
  auto key = std::make_shared<Object>();
  key->platform = store.platform;
  key->isolated = (flags & kIsolation) != 0;
  key->file = FileOf(store, name);
  if (fs::exists(key->file) && (flags & NCRYPT_OVERWRITE_KEY_FLAG) == 0) return NTE_EXISTS;
  *handle = ToHandle(std::move(key));
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptOpenKey(NCRYPT_PROV_HANDLE store_handle, NCRYPT_KEY_HANDLE* handle, LPCWSTR name, DWORD,
                  DWORD flags) {
  BEGIN_SILENT(NCryptOpenKey, flags);
  FIND(store, store_handle);
  if (store.platform && IsWithoutTpm()) return NTE_DEVICE_NOT_READY;
  if (store.used && Is("stale")) return NTE_INVALID_HANDLE;
  store.used = true;
  if (store.platform && std::wstring(name).find_first_of(L"/\\") != std::wstring::npos) {
    return NTE_BAD_KEYSET;
  }
  auto key = std::make_shared<Object>();
  key->platform = store.platform;
  key->file = FileOf(store, name);
  std::ifstream file(key->file, std::ios::binary);
  if (!file) return NTE_BAD_KEYSET;
  std::vector<char> blob((std::istreambuf_iterator<char>(file)), {});
  if (BCryptImportKeyPair(Algorithm(), nullptr, BCRYPT_ECCPRIVATE_BLOB, &key->key,
                          reinterpret_cast<PUCHAR>(blob.data()), static_cast<ULONG>(blob.size()),
                          0) != 0) {
    return NTE_INTERNAL_ERROR;
  }
  *handle = ToHandle(std::move(key));
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptSetProperty(NCRYPT_HANDLE handle, LPCWSTR name, PBYTE value, DWORD, DWORD flags) {
  BEGIN(NCryptSetProperty);
  FIND(key, handle);
  if (!IsAccepted(key, flags)) return NTE_BAD_FLAGS;
  if (std::wstring(name) == NCRYPT_EXPORT_POLICY_PROPERTY) {
    std::memcpy(&key.policy, value, sizeof key.policy);
  }
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptGetProperty(NCRYPT_HANDLE handle, LPCWSTR name, PBYTE value, DWORD size, DWORD* written,
                      DWORD flags) {
  BEGIN(NCryptGetProperty);
  FIND(object, handle);
  if (!IsAccepted(object, flags)) return NTE_BAD_FLAGS;
  const std::wstring property = name;
  if (property == L"PCP_PLATFORM_TYPE") {
    if (IsWithoutTpm()) return NTE_DEVICE_NOT_READY;
    const std::wstring text = Is("tpm-1.2")
                                  ? L"TPM-Version:1.2 -Level:2-Revision:1.16-VendorID:'TEST'"
                                  : L"TPM-Version:2.0 -Level:0-Revision:1.38-VendorID:'TEST'";
    *written = static_cast<DWORD>((text.size() + 1) * sizeof(wchar_t));
    if (size < *written) return NTE_BUFFER_TOO_SMALL;
    std::memcpy(value, text.c_str(), *written);
    return 0;
  }
  if (property == NCRYPT_EXPORT_POLICY_PROPERTY) {
    return PutNumber(Is("exportable") ? 1 : object.policy, value, size, written);
  }
  if (property == L"Virtual Iso") {
    return object.isolated ? PutNumber(1, value, size, written) : NTE_NOT_FOUND;
  }
  return NTE_NOT_SUPPORTED;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptFinalizeKey(NCRYPT_KEY_HANDLE handle, DWORD flags) {
  BEGIN_SILENT(NCryptFinalizeKey, flags);
  FIND(key, handle);
  UCHAR blob[512];
  ULONG size = 0;
  if (BCryptGenerateKeyPair(Algorithm(), &key.key, 256, 0) != 0 ||
      BCryptFinalizeKeyPair(key.key, 0) != 0 ||
      BCryptExportKey(key.key, nullptr, BCRYPT_ECCPRIVATE_BLOB, blob, sizeof blob, &size, 0) != 0) {
    return NTE_INTERNAL_ERROR;
  }
  std::ofstream(key.file, std::ios::binary).write(reinterpret_cast<char*>(blob), size);
  Dawdle();
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptExportKey(NCRYPT_KEY_HANDLE handle, NCRYPT_KEY_HANDLE, LPCWSTR type, NCryptBufferDesc*,
                    PBYTE out, DWORD size, DWORD* written, DWORD flags) {
  BEGIN(NCryptExportKey);
  FIND(key, handle);
  if (!IsAccepted(key, flags)) return NTE_BAD_FLAGS;
  if (std::wstring(type) != BCRYPT_ECCPUBLIC_BLOB) return NTE_NOT_SUPPORTED;
  ULONG length = 0;
  if (BCryptExportKey(key.key, nullptr, BCRYPT_ECCPUBLIC_BLOB, out, size, &length, 0) != 0) {
    return NTE_INTERNAL_ERROR;
  }
  *written = length;
  auto* blob = reinterpret_cast<BCRYPT_ECCKEY_BLOB*>(out);
  if (Is("generic-magic") || Is("other-curve")) blob->dwMagic = kGenericMagic;
  if (Is("other-curve")) blob->cbKey = 48;
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptSignHash(NCRYPT_KEY_HANDLE handle, VOID*, PBYTE digest, DWORD digest_size, PBYTE out,
                   DWORD size, DWORD* written, DWORD flags) {
  BEGIN_SILENT(NCryptSignHash, flags);
  FIND(key, handle);
  std::vector<UCHAR> copy(digest, digest + digest_size);
  if (Is("wrong-signature")) copy[0] ^= 1;
  Dawdle();
  ULONG length = 0;
  if (BCryptSignHash(key.key, nullptr, copy.data(), digest_size, out, size, &length, 0) != 0) {
    return NTE_INTERNAL_ERROR;
  }
  *written = Is("short-signature") ? length - 1 : length;
  return 0;
}

// As on Windows, only success frees the handle.
__declspec(dllexport) SECURITY_STATUS WINAPI
    NCryptDeleteKey(NCRYPT_KEY_HANDLE handle, DWORD flags) {
  BEGIN(NCryptDeleteKey);
  FIND(key, handle);
  if (!IsAccepted(key, flags)) return NTE_BAD_FLAGS;
  std::error_code ignored;
  if (!Is("keeps-deleted")) fs::remove(key.file, ignored);
  Forget(handle);
  return 0;
}

__declspec(dllexport) SECURITY_STATUS WINAPI NCryptFreeObject(NCRYPT_HANDLE handle) {
  AwaitResumption();
  if (From(handle) == nullptr) return NTE_INVALID_HANDLE;
  Forget(handle);
  return 0;
}

}  // extern "C"
