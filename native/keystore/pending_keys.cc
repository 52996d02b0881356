#include "keystore/pending_keys.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "keystore/key_file_name.h"
#include "platform/error.h"
#include "protocol/json_reader.h"

namespace device_key {
namespace {

constexpr int kPendingVersion = 1;
constexpr std::chrono::seconds kWithdrawTimeout{2};
// The longest time that a sweep delays the creation of a key, except for its last deletion.
constexpr std::chrono::milliseconds kSweepTime{100};
constexpr int64_t kNanoseconds = 1'000'000'000;

// Errors that every other key of the token would cause too, after another attempt with the PIN or
// another question for it.
bool IsAboutPin(ErrorCode code) {
  switch (code) {
    case ErrorCode::kPinRequired:
    case ErrorCode::kPinIncorrect:
    case ErrorCode::kPinLocked:
    case ErrorCode::kUserCanceled:
      return true;
    default:
      return false;
  }
}

}  // namespace

PendingKeys::PendingKeys(const std::filesystem::path& directory)
    : directory_(std::filesystem::absolute(directory)) {}

void PendingKeys::Announce(const KeyProvider& provider, const KeyId& key_id,
                           const nlohmann::json& place) const {
  nlohmann::ordered_json json = {{"version", kPendingVersion}, {"provider", provider.name()}};
  if (!place.is_null()) json["handle"] = place;
  PrivateDirectory::OpenOrCreate(directory_)
      .WriteNew(KeyFileName(key_id, kPendingSuffix), json.dump() + "\n");
}

void PendingKeys::Withdraw(const KeyId& key_id) const {
  try {
    const auto directory = PrivateDirectory::Open(directory_);
    if (directory) {
      directory->Remove(KeyFileName(key_id, kPendingSuffix),
                        std::chrono::steady_clock::now() + kWithdrawTimeout);
    }
  } catch (const DeviceKeyError&) {
  }
}

void PendingKeys::Sweep(KeyProvider& provider, const nlohmann::json& place, int64_t now,
                        const OperationLimits& limits) {
  const std::string swept = std::string(provider.name()) + place.dump();
  std::optional<SweptFiles> files = DueSweep(swept, now);
  if (!files) return;
  // Random, because processes that make one key each would otherwise all sweep the same first
  // files.
  if (files->first.empty()) {
    files->first = KeyFileName(KeyId::Generate(provider.protection_class()), kPendingSuffix);
  }
  const auto directory = PrivateDirectory::Open(directory_);
  if (!directory) return;
  const auto end = std::chrono::steady_clock::now() + kSweepTime;
  std::vector<std::string> names = directory->List();
  // Once around: from the file after `first` to the last file, then from the first file to `first`.
  const auto is_swept_before = [&](const std::string& a, const std::string& b) {
    const bool a_is_late = a <= files->first;
    const bool b_is_late = b <= files->first;
    return a_is_late == b_is_late ? a < b : b_is_late;
  };
  std::sort(names.begin(), names.end(), is_swept_before);
  auto name = files->last.empty()
                  ? names.begin()
                  : std::upper_bound(names.begin(), names.end(), files->last, is_swept_before);
  for (; name != names.end(); ++name) {
    const std::optional<KeyId> key_id = KeyIdFromFileName(*name, kPendingSuffix);
    if (!key_id) continue;
    try {
      SweepFile(*directory, *key_id, provider, place, now, limits);
    } catch (const DeviceKeyError& error) {
      if (IsAboutPin(error.code())) throw;
      // Leave it to the next sweep: the token may be removed, or the file damaged.
    }
    // After the file, so that every sweep examines at least one, even if the listing takes long.
    if (std::chrono::steady_clock::now() >= end) {
      files->last = *name;
      Remember(swept, {now, *files});
      return;
    }
  }
  Remember(swept, {now, {}});
}

void PendingKeys::SweepFile(const PrivateDirectory& directory, const KeyId& key_id,
                            KeyProvider& provider, const nlohmann::json& place, int64_t now,
                            const OperationLimits& limits) {
  const std::string name = KeyFileName(key_id, kPendingSuffix);
  const auto file = directory.Read(name);
  if (!file || now - file->stamp.modified_ns / kNanoseconds < kAbandonedAfterSeconds) return;
  const nlohmann::json json = ReadJson(file->bytes);
  if (!json.is_object() || json.value("version", nlohmann::json()) != kPendingVersion ||
      json.value("provider", nlohmann::json()) != provider.name()) {
    return;
  }
  // A key with a record is complete: its process died before it could withdraw the announcement.
  if (!directory.Stat(KeyFileName(key_id, kRecordSuffix))) {
    // Only the token that the key was announced for knows whether there is such a key.
    if (json.value("handle", nlohmann::json()) != place) return;
    provider.Delete(key_id, place, limits);
  }
  directory.Remove(name, limits.deadline);
}

// Where an interrupted sweep stands, or a new sweep; nullopt when no sweep is due.
std::optional<PendingKeys::SweptFiles> PendingKeys::DueSweep(const std::string& swept,
                                                             int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto known = sweeps_.find(swept);
  if (known == sweeps_.end()) return SweptFiles{};
  const LastSweep& last = known->second;
  if (!last.files.last.empty()) return last.files;
  // A clock that was set back must not postpone sweeps.
  const bool due = now < last.time || now - last.time >= kSweepIntervalSeconds;
  return due ? std::optional(SweptFiles{}) : std::nullopt;
}

void PendingKeys::Remember(const std::string& swept, LastSweep last) {
  const std::lock_guard lock(mutex_);
  sweeps_[swept] = std::move(last);
}

}  // namespace device_key
