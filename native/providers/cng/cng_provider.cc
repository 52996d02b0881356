#include "providers/cng/cng_provider.h"

#include <array>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "crypto/p256.h"
#include "providers/cng/cng_status.h"
#include "providers/cng/ncrypt_library.h"
#include "providers/cng/tpm_base_services.h"

namespace device_key {
namespace {

// From ncrypt.h of the Windows SDK; mingw-w64's ncrypt.h has neither. Windows 11 24H2 also calls
// the flag NCRYPT_REQUIRE_VBS_FLAG: the call fails where there is no isolation.
constexpr DWORD kRequireIsolation = 0x00020000;
constexpr wchar_t kIsolationProperty[] = L"Virtual Iso";

constexpr size_t kCoordinateSize = 32;
constexpr size_t kSignatureSize = 2 * kCoordinateSize;

const wchar_t* StoreName(CngKeyStore store) {
  return store == CngKeyStore::kPlatform ? L"Microsoft Platform Crypto Provider"
                                         : L"Microsoft Software Key Storage Provider";
}

// The name has no slash, because the platform provider stores keys as files and accepts paths as
// names. (The registry names the device key of a machine that joined Entra ID by the path of its
// .PCPKEY file.)
std::wstring KeyName(const KeyId& id) { return L"device-key-" + WideFromUtf8(id.str()); }

// NCRYPT_SILENT_FLAG is for the calls that could ask the user: NCryptOpenKey, NCryptFinalizeKey and
// NCryptSignHash. The other calls get this value, as in .NET's CngKey and Chromium's
// crypto/unexportable_key_win.cc. For example, the platform provider refuses the flag in
// NCryptDeleteKey with NTE_BAD_FLAGS, and then the key survives.
constexpr DWORD kNoFlags = 0;

NCryptHandle OpenStore(CngKeyStore store) {
  NCRYPT_PROV_HANDLE handle = 0;
  CheckCng("open the key store",
           NCryptLibrary::Get().OpenStorageProvider(&handle, StoreName(store), kNoFlags));
  return NCryptHandle(handle);
}

// The platform provider opens even without a TPM. It returns "not ready" both then and while a TPM
// is starting; TPM Base Services distinguish the two. Returns the provider's description of its
// TPM, such as "TPM-Version:2.0 -Level:0-Revision:1.38-...".
std::string RequireTpm(const NCryptHandle& store) {
  RequireTpm20();
  wchar_t text[256] = {};
  DWORD size = 0;
  CheckCng("find a TPM", NCryptLibrary::Get().GetProperty(
                             store.get(), L"PCP_PLATFORM_TYPE", reinterpret_cast<PBYTE>(text),
                             sizeof text - sizeof *text, &size, kNoFlags));
  return Utf8FromWide(text);
}

DWORD ReadNumber(const NCryptHandle& key, const wchar_t* property) {
  DWORD value = 0;
  DWORD size = 0;
  CheckCng("read the key's properties",
           NCryptLibrary::Get().GetProperty(key.get(), property, reinterpret_cast<PBYTE>(&value),
                                            sizeof value, &size, kNoFlags));
  if (size != sizeof value) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "could not read the key's properties: Windows answered with a value of " +
                             std::to_string(size) + " bytes");
  }
  return value;
}

// Reads back that the key cannot be exported.
void RequireNotExportable(const NCryptHandle& key) {
  const DWORD policy = ReadNumber(key, NCRYPT_EXPORT_POLICY_PROPERTY);
  if (policy != 0) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "Windows made a key that may be exported (export policy " +
                             std::to_string(policy) + "); it is not used");
  }
}

bool IsIsolated(const NCryptHandle& key) {
  try {
    return ReadNumber(key, kIsolationProperty) != 0;
  } catch (const DeviceKeyError&) {
    return false;  // claim isolation only if Windows confirms it
  }
}

// NCryptDeleteKey frees the handle only when it succeeds.
SECURITY_STATUS Delete(NCryptHandle key) {
  const SECURITY_STATUS status = NCryptLibrary::Get().DeleteKey(key.get(), kNoFlags);
  if (status >= 0) static_cast<void>(key.Release());
  return status;
}

Bytes ReadSpki(const NCryptHandle& key) {
  struct {
    BCRYPT_ECCKEY_BLOB header;
    std::array<uint8_t, 2 * kCoordinateSize> point;
  } blob = {};
  static_assert(sizeof blob == sizeof(BCRYPT_ECCKEY_BLOB) + 2 * kCoordinateSize);
  DWORD size = 0;
  CheckCng(
      "read the public key",
      NCryptLibrary::Get().ExportKey(key.get(), 0, BCRYPT_ECCPUBLIC_BLOB, nullptr,
                                     reinterpret_cast<PBYTE>(&blob), sizeof blob, &size, kNoFlags));
  // The platform provider may give a P-256 key the magic of curves that are named by a property
  // (BCRYPT_ECDSA_PUBLIC_GENERIC_MAGIC, "ECDP"; Chromium's crypto/unexportable_key_win.cc).
  constexpr ULONG kGenericMagic = 0x50444345;
  const bool is_p256 =
      blob.header.dwMagic == BCRYPT_ECDSA_PUBLIC_P256_MAGIC || blob.header.dwMagic == kGenericMagic;
  if (size != sizeof blob || !is_p256 || blob.header.cbKey != kCoordinateSize) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "could not read the public key: Windows did not answer with a P-256 key");
  }
  const ByteView point(blob.point);
  return SpkiFromPoint(point.first(kCoordinateSize), point.last(kCoordinateSize));
}

// Fails if the name is taken, because NCRYPT_OVERWRITE_KEY_FLAG is not passed.
NCryptHandle MakeKey(const NCryptHandle& store, const KeyId& id, DWORD flags) {
  const NCryptLibrary& ncrypt = NCryptLibrary::Get();
  NCRYPT_KEY_HANDLE handle = 0;
  CheckCngMakingKey(ncrypt.CreatePersistedKey(store.get(), &handle, BCRYPT_ECDSA_P256_ALGORITHM,
                                              KeyName(id).c_str(), 0, flags));
  NCryptHandle key(handle);
  DWORD usage = NCRYPT_ALLOW_SIGNING_FLAG;
  CheckCngMakingKey(ncrypt.SetProperty(key.get(), NCRYPT_KEY_USAGE_PROPERTY,
                                       reinterpret_cast<PBYTE>(&usage), sizeof usage, kNoFlags));
  DWORD policy = 0;
  CheckCngMakingKey(ncrypt.SetProperty(key.get(), NCRYPT_EXPORT_POLICY_PROPERTY,
                                       reinterpret_cast<PBYTE>(&policy), sizeof policy, kNoFlags));
  CheckCngMakingKey(ncrypt.FinalizeKey(key.get(), NCRYPT_SILENT_FLAG));
  return key;
}

NCryptHandle MakeKeyIn(CngKeyStore store, const NCryptHandle& opened, const KeyId& id) {
  if (store == CngKeyStore::kSoftware) {
    try {
      return MakeKey(opened, id, kRequireIsolation);
    } catch (const DeviceKeyError&) {
      // Windows 11 24H2 returns NTE_VBS_UNAVAILABLE if there is no isolation, for example without a
      // TPM. The status of older releases is not documented. Any other error occurs again when the
      // plain key is made.
    }
  }
  return MakeKey(opened, id, 0);
}

ProviderKey CreateKey(CngKeyStore store, const KeyId& id) {
  const NCryptHandle opened = OpenStore(store);
  if (store == CngKeyStore::kPlatform) RequireTpm(opened);
  NCryptHandle key = MakeKeyIn(store, opened, id);
  try {
    RequireNotExportable(key);
    ProviderKey made{ReadSpki(key), {{"keyName", Utf8FromWide(KeyName(id))}}};
    if (store == CngKeyStore::kSoftware) made.handle["isolated"] = IsIsolated(key);
    return made;
  } catch (const DeviceKeyError& error) {
    const SECURITY_STATUS status = Delete(std::move(key));
    if (status >= 0) throw;
    // This code keeps the pending record, so that a later sweep deletes the key (see ProviderSet).
    throw DeviceKeyError(
        ErrorCode::kPlatformError,
        std::string(error.what()) + "; and " + CngError("delete the new key", status).what(),
        error.platform_status());
  }
}

Bytes SignDigest(const NCryptHandle& key, Sha256Digest digest) {
  std::array<uint8_t, kSignatureSize> signature{};
  DWORD size = 0;
  CheckCng("sign",
           NCryptLibrary::Get().SignHash(
               key.get(), nullptr, digest.data(), static_cast<DWORD>(digest.size()),
               signature.data(), static_cast<DWORD>(signature.size()), &size, NCRYPT_SILENT_FLAG));
  if (size != signature.size()) {
    throw DeviceKeyError(
        ErrorCode::kPlatformError,
        "could not sign: Windows answered with a signature of " + std::to_string(size) + " bytes");
  }
  const ByteView view(signature);
  return EcdsaDerFromRaw(view.first(kCoordinateSize), view.last(kCoordinateSize));
}

}  // namespace

// Opens keys of one key store. Keeps the store open between calls, because opening a store "loads
// and initializes" it (NCryptOpenStorageProvider). For one thread at a time.
class CngProvider::Keys {
 public:
  explicit Keys(CngKeyStore key_store) : key_store_(key_store) {}

  // Freeing a handle can hang like any other call, so a detached thread does it. The addon stays
  // loaded, so the thread may outlive this object.
  ~Keys() {
    if (opened_.get() == 0) return;
    try {
      std::thread([opened = std::move(opened_)] {}).detach();
    } catch (const std::system_error&) {
      // No thread could be started: the handle was freed on this one.
    }
  }

  // Throws `key_lost` if there is no such key, or none that can be used again.
  NCryptHandle Open(const KeyId& id) {
    // A cached store handle may be stale, for example after its service was restarted. So only an
    // error from a newly opened store counts.
    const bool kept = opened_.get() != 0;
    if (!kept) opened_ = OpenStore(key_store_);
    NCRYPT_KEY_HANDLE handle = 0;
    const SECURITY_STATUS status = NCryptLibrary::Get().OpenKey(
        opened_.get(), &handle, KeyName(id).c_str(), 0, NCRYPT_SILENT_FLAG);
    if (status >= 0) return NCryptHandle(handle);
    opened_ = NCryptHandle();
    if (kept) return Open(id);
    throw CngError("open the key", status);
  }

  void Delete(const KeyId& id) {
    NCryptHandle key;
    try {
      key = Open(id);
    } catch (const DeviceKeyError& error) {
      if (error.code() != ErrorCode::kKeyLost) throw;
      return;  // there is nothing left to delete
    }
    CheckCng("delete the key", device_key::Delete(std::move(key)));
  }

 private:
  const CngKeyStore key_store_;
  NCryptHandle opened_;
};

CngProvider::CngProvider(CngKeyStore key_store)
    : key_store_(key_store),
      keys_(std::make_shared<Keys>(key_store)),
      calls_(BoundedCalls::Threads::kOne, "device-key-cng",
             {.timeout = "Windows' key store did not answer in time; try again, or restart Windows "
                         "if it fails again",
              .busy = "Windows' key store was busy with other requests of this process until the "
                      "deadline; try again"}) {}

std::string_view CngProvider::name() const {
  return key_store_ == CngKeyStore::kPlatform ? "cng-platform" : "cng-software";
}

ProtectionClass CngProvider::protection_class() const {
  return key_store_ == CngKeyStore::kPlatform ? ProtectionClass::kHardwareTpm
                                              : ProtectionClass::kOsProtectedNonextractable;
}

Availability CngProvider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"keyStore", Utf8FromWide(StoreName(key_store_))}};
  try {
    availability.details.update(calls_.Run(limits, [store = key_store_] {
      nlohmann::json details = nlohmann::json::object();
      const NCryptHandle opened = OpenStore(store);
      if (store == CngKeyStore::kPlatform) details["platformType"] = RequireTpm(opened);
      return details;
    }));
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey CngProvider::Create(const KeyId& id, const AuthValue&, const OperationLimits& limits) {
  return calls_.Run(
      limits, [id, store = key_store_] { return CreateKey(store, id); },
      [id, keys = keys_](const ProviderKey&) { keys->Delete(id); });
}

Bytes CngProvider::Sign(const KeyId& id, const nlohmann::json&, const AuthValue&,
                        const Sha256Digest& digest, const OperationLimits& limits) {
  return calls_.Run(limits,
                    [id, digest, keys = keys_] { return SignDigest(keys->Open(id), digest); });
}

void CngProvider::Delete(const KeyId& id, const nlohmann::json&, const OperationLimits& limits) {
  calls_.Run(limits, [id, keys = keys_] { keys->Delete(id); });
}

}  // namespace device_key
