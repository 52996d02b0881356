#include "keystore/pending_keys.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "platform/error.h"
#include "platform/private_directory.h"
#include "protocol/json_reader.h"

namespace device_key {
namespace {

constexpr int kVersion = 1;
constexpr std::chrono::seconds kWithdrawTimeout{2};
constexpr std::string_view kSuffix = ".pending";
constexpr int64_t kNanoseconds = 1'000'000'000;

std::string FileName(const KeyId& key_id) { return key_id.str() + std::string(kSuffix); }

std::optional<KeyId> KeyIdFromFileName(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  return KeyId::Parse(name.substr(0, name.size() - kSuffix.size()));
}

// What the token would say to its next user as well, after one more try of the PIN or one more
// question for it.
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

// Whether `text` announces a key of the provider `name`. Throws for text that is not JSON.
bool IsOf(std::string_view name, const std::string& text) {
  const nlohmann::json json = ReadJson(text);
  return json.is_object() && json.value("version", nlohmann::json()) == kVersion &&
         json.value("provider", nlohmann::json()) == name;
}

}  // namespace

PendingKeys::PendingKeys(const std::filesystem::path& directory)
    : directory_(std::filesystem::absolute(directory)) {}

void PendingKeys::Announce(const KeyProvider& provider, const KeyId& key_id) const {
  const nlohmann::ordered_json json = {{"version", kVersion}, {"provider", provider.name()}};
  PrivateDirectory::OpenOrCreate(directory_).WriteNew(FileName(key_id), json.dump() + "\n");
}

void PendingKeys::Withdraw(const KeyId& key_id) const {
  try {
    const auto directory = PrivateDirectory::Open(directory_);
    if (directory) {
      directory->Remove(FileName(key_id), std::chrono::steady_clock::now() + kWithdrawTimeout);
    }
  } catch (const DeviceKeyError&) {
  }
}

void PendingKeys::Sweep(KeyProvider& provider, int64_t now, const OperationLimits& limits) {
  if (!IsSweepDue(provider.name(), now)) return;
  const auto directory = PrivateDirectory::Open(directory_);
  if (!directory) return;
  for (const std::string& name : directory->List()) {
    const std::optional<KeyId> key_id = KeyIdFromFileName(name);
    if (!key_id) continue;
    try {
      const auto file = directory->Read(name);
      if (!file || !IsOf(provider.name(), file->bytes)) continue;
      if (now - file->stamp.modified_ns / kNanoseconds < kAbandonedAfterSeconds) continue;
      // It may have been recorded, and its process died before it could say so here.
      if (!directory->Stat(key_id->str() + ".json")) provider.Delete(*key_id, nullptr, limits);
      directory->Remove(name, limits.deadline);
    } catch (const DeviceKeyError& error) {
      if (IsAboutPin(error.code())) throw;
      // The token may be out.
    }
  }
  const std::lock_guard lock(mutex_);
  swept_[std::string(provider.name())] = now;
}

bool PendingKeys::IsSweepDue(std::string_view provider, int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto last = swept_.find(provider);
  // A clock that was set back must not put sweeps off.
  return last == swept_.end() || now < last->second || now - last->second >= kSweepIntervalSeconds;
}

}  // namespace device_key
