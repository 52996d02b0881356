#include "keystore/attestation_key.h"

#include <utility>

#include "platform/path_text.h"
#include "platform/private_directory.h"
#include "protocol/json_reader.h"

namespace device_key {
namespace {

constexpr int kAttestationKeyVersion = 1;

}  // namespace

AttestationKeyFile::AttestationKeyFile(std::filesystem::path directory, const KeyProvider& provider)
    : directory_(std::move(directory)),
      provider_(provider.name()),
      name_("attestation-key." + provider_ + ".json") {}

std::optional<nlohmann::json> AttestationKeyFile::Read() const {
  const auto directory = PrivateDirectory::Open(directory_);
  const auto file = directory ? directory->Read(name_) : std::nullopt;
  if (!file) return std::nullopt;
  try {
    const nlohmann::json json = ReadJson(file->bytes);
    if (json.is_object() && json.value("version", nlohmann::json()) == kAttestationKeyVersion &&
        json.value("provider", nlohmann::json()) == provider_ && json.contains("handle")) {
      return json["handle"];
    }
  } catch (const DeviceKeyError& error) {
    if (error.code() != ErrorCode::kInvalidParams) throw;
  }
  throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                       "the attestation key in " + Utf8FromPath(directory_ / name_) +
                           " is damaged or from a newer version. It has been left as it is; remove "
                           "it to have another one made");
}

nlohmann::json AttestationKeyFile::Write(const nlohmann::json& handle) const {
  const nlohmann::ordered_json json = {
      {"version", kAttestationKeyVersion}, {"provider", provider_}, {"handle", handle}};
  const PrivateDirectory directory = PrivateDirectory::OpenOrCreate(directory_);
  try {
    directory.WriteNew(name_, json.dump(2) + "\n");
    return handle;
  } catch (const DeviceKeyError&) {
    // WriteNew refuses a name that is taken.
    if (auto written = Read()) return *std::move(written);
    throw;
  }
}

void AttestationKeyFile::Remove(const OperationLimits& limits) const {
  const auto directory = PrivateDirectory::Open(directory_);
  if (directory) directory->Remove(name_, limits.deadline);
}

}  // namespace device_key
