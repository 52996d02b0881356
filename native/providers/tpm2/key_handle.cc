#include "providers/tpm2/key_handle.h"

#include <optional>
#include <string>

#include "crypto/base64.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/tss2_private_key.h"

namespace device_key {
namespace {

constexpr char kPemMember[] = "tss2PrivateKey";
constexpr char kParentNameMember[] = "parentName";

DeviceKeyError StoreCorrupt(const std::string& what) {
  return DeviceKeyError(ErrorCode::kStoreCorrupt, what);
}

template <class Area>
Area Unmarshalled(const Bytes& bytes) {
  Area value{};
  size_t offset = 0;
  if (!Unmarshal(bytes, offset, value) || offset != bytes.size()) {
    throw StoreCorrupt(
        "the stored TPM key is damaged: its areas cannot be read. Restore its record from a backup "
        "or enroll again");
  }
  return value;
}

// Returns an empty name if the handle has no "parentName".
Bytes DecodeParentName(const nlohmann::json& handle) {
  const auto member = handle.find(kParentNameMember);
  if (member == handle.end()) return {};
  std::optional<Bytes> name;
  if (member->is_string()) name = Base64UrlDecode(member->get_ref<const std::string&>());
  if (!name.has_value() || !IsObjectName(*name)) {
    throw StoreCorrupt(
        "the key's record is damaged: handle.parentName: expected the name of a TPM object, in "
        "base64url");
  }
  return *name;
}

LoadableKey DecodeAnyKey(const nlohmann::json& handle) {
  if (!handle.is_object() || !handle.contains(kPemMember) || !handle[kPemMember].is_string()) {
    throw StoreCorrupt("the key's record is damaged: handle.tss2PrivateKey: expected a string");
  }
  const auto file = Tss2PrivateKey::FromPem(handle[kPemMember].get<std::string>());
  if (file.parent != kPersistentSrk && file.parent != TPM2_RH_OWNER) {
    throw StoreCorrupt("the stored TPM key names a parent that this library never uses");
  }
  return {{file.parent, DecodeParentName(handle)},
          {Unmarshalled<TPM2B_PUBLIC>(file.public_area),
           Unmarshalled<TPM2B_PRIVATE>(file.private_area)}};
}

}  // namespace

nlohmann::json EncodeHandle(const LoadableKey& key) {
  const Tss2PrivateKey file{key.parent.handle, Marshalled(key.blob.public_area),
                            Marshalled(key.blob.private_area)};
  return {{kPemMember, file.ToPem()}, {kParentNameMember, Base64UrlEncode(key.parent.name)}};
}

LoadableKey DecodeHandle(const nlohmann::json& handle) {
  LoadableKey key = DecodeAnyKey(handle);
  // Somebody may have edited the record and put in a key that can leave the TPM.
  if (!IsDeviceKey(key.blob.public_area.publicArea)) {
    throw StoreCorrupt("the stored TPM key lacks the attributes that keep it inside the TPM");
  }
  return key;
}

LoadableKey DecodeAttestationKey(const nlohmann::json& handle) {
  LoadableKey key = DecodeAnyKey(handle);
  if (!IsAttestationKey(key.blob.public_area.publicArea)) {
    throw StoreCorrupt("the stored attestation key is not a restricted signing key of a TPM");
  }
  return key;
}

}  // namespace device_key
