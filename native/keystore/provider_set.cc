#include "keystore/provider_set.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "platform/error.h"

namespace device_key {
namespace {

// Permanent errors: the same call would fail again tomorrow, on this machine and for this user.
bool IsPermanent(ErrorCode code) {
  switch (code) {
    case ErrorCode::kHardwareUnavailable:
    case ErrorCode::kLibraryMissing:
    case ErrorCode::kPermissionDenied:
    // Other kinds of missing permission, which the TPM's owner or macOS grants.
    case ErrorCode::kTpmOwnerAuthRequired:
    case ErrorCode::kMissingEntitlement:
      return true;
    default:
      return false;
  }
}

Availability Probe(KeyProvider& provider, const OperationLimits& limits) {
  try {
    return provider.Probe(limits);
  } catch (const DeviceKeyError& error) {
    // Timed out or interrupted: report it as one more reason.
    return {.error = error};
  }
}

// Whether a key may exist although making it failed with this error: the hardware, or the
// connection to it, may have failed after it made the key.
bool MayHaveMadeKey(ErrorCode code) {
  switch (code) {
    case ErrorCode::kDeviceTimeout:
    case ErrorCode::kClosed:
    case ErrorCode::kTokenMissing:
    case ErrorCode::kPlatformError:
    case ErrorCode::kCryptoError:
      return true;
    default:
      return false;
  }
}

MadeKey Make(KeyProvider& provider, const AuthValue& auth, const OperationLimits& limits,
             const Announcements& announcements) {
  KeyId key_id = KeyId::Generate(provider.protection_class());
  if (!provider.keeps_keys()) {
    ProviderKey key = provider.Create(key_id, auth, limits);
    return {provider, std::move(key_id), std::move(key)};
  }
  const nlohmann::json place = provider.Locate(limits);
  announcements.announce(provider, key_id, place);
  try {
    ProviderKey key = provider.CreateAt(place, key_id, auth, limits);
    return {provider, std::move(key_id), std::move(key)};
  } catch (const DeviceKeyError& error) {
    if (!MayHaveMadeKey(error.code())) announcements.withdraw(key_id);
    throw;
  }
}

DeviceKeyError NoHardwareProvider() {
  return DeviceKeyError(ErrorCode::kHardwareUnavailable,
                        "node-device-key knows no secure hardware on this platform");
}

// `state`: the state of the fallback, as in "is available".
DeviceKeyError Degraded(const KeyProvider& fallback, const std::string& state,
                        const DeviceKeyError& hardware_error) {
  const std::string class_name(ProtectionClassName(fallback.protection_class()));
  return DeviceKeyError(ErrorCode::kDegradedProtectionNotAllowed,
                        "protectionPolicy is hardware_only, but secure hardware cannot be used (" +
                            std::string(ErrorCodeName(hardware_error.code())) + ": " +
                            hardware_error.what() + "). " + class_name + " (" +
                            std::string(fallback.name()) + ") " + state +
                            ": cure the former, or accept the latter with protectionPolicy "
                            "allow_os_protected_nonextractable",
                        hardware_error.platform_status());
}

}  // namespace

bool IsHardware(ProtectionClass protection_class) {
  return protection_class != ProtectionClass::kOsProtectedNonextractable;
}

ProviderSet::ProviderSet(std::vector<std::shared_ptr<KeyProvider>> providers)
    : providers_(std::move(providers)) {
  std::stable_partition(providers_.begin(), providers_.end(), [](const auto& provider) {
    return IsHardware(provider->protection_class());
  });
}

MadeKey ProviderSet::Create(ProtectionPolicy policy, const AuthValue& auth,
                            const OperationLimits& limits,
                            const Announcements& announcements) const {
  // Throw the error of the most preferred provider; its message includes the others' errors.
  std::optional<DeviceKeyError> failure;
  if (providers_.empty() || !IsHardware(providers_.front()->protection_class())) {
    failure = NoHardwareProvider();
  }
  for (const std::shared_ptr<KeyProvider>& provider : providers_) {
    if (policy == ProtectionPolicy::kHardwareOnly && !IsHardware(provider->protection_class())) {
      if (provider->runs_foreign_code()) {
        if (provider->is_configured()) {
          throw Degraded(*provider, "is configured, and was not tried", *failure);
        }
      } else if (Probe(*provider, limits).available()) {
        throw Degraded(*provider, "is available", *failure);
      }
      continue;
    }
    try {
      return Make(*provider, auth, limits, announcements);
    } catch (const PassingError&) {
      throw;
    } catch (const DeviceKeyError& error) {
      if (!IsPermanent(error.code())) throw;
      failure = failure ? DeviceKeyError(failure->code(),
                                         std::string(failure->what()) + "; " +
                                             std::string(provider->name()) + ": " + error.what(),
                                         failure->platform_status())
                        : error;
    }
  }
  throw DeviceKeyError(*failure);
}

KeyProvider& ProviderSet::Named(const std::string& name) const {
  for (const std::shared_ptr<KeyProvider>& provider : providers_) {
    if (provider->name() == name) return *provider;
  }
  throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                       "the key was made by the provider \"" + name +
                           "\", which this machine does not have: use the key where it was made");
}

nlohmann::ordered_json ProviderSet::Support(const OperationLimits& limits, Ask ask) const {
  nlohmann::ordered_json providers = nlohmann::ordered_json::array();
  std::optional<ProtectionClass> best;
  for (const std::shared_ptr<KeyProvider>& provider : providers_) {
    const bool asked =
        ask == Ask::kAll || !best || !provider->runs_foreign_code() || provider->is_configured();
    const Availability availability = asked ? Probe(*provider, limits) : Availability{};
    const bool available = asked && availability.available();
    if (available && !best) best = provider->protection_class();
    nlohmann::ordered_json entry = {
        {"provider", provider->name()},
        {"protectionClass", ProtectionClassName(provider->protection_class())},
        {"asked", asked},
        {"available", available},
        {"code", nullptr},
        {"message", nullptr},
        {"details", availability.details},
    };
    if (!asked) {
      entry["message"] =
          "not asked: it is not configured, and not needed while the above can be used";
    } else if (!available) {
      entry["code"] = ErrorCodeName(availability.error->code());
      entry["message"] = availability.error->what();
    }
    providers.push_back(std::move(entry));
  }
  nlohmann::ordered_json support = {{"providers", std::move(providers)},
                                    {"protectionClass", nullptr},
                                    {"hardware", best && IsHardware(*best)}};
  if (best) support["protectionClass"] = ProtectionClassName(*best);
  return support;
}

}  // namespace device_key
