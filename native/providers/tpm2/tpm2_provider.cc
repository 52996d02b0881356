#include "providers/tpm2/tpm2_provider.h"

#include <chrono>
#include <utility>

#include "crypto/p256.h"
#include "crypto/tss2_private_key.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/tpm_commands.h"
#include "providers/tpm2/tpm_properties.h"

namespace device_key {
namespace {

constexpr char kHandleMember[] = "tss2PrivateKey";
constexpr std::chrono::seconds kUnloadTimeout{5};

TctiSpec ResolveTcti(const Tpm2Options& options) {
  if (options.tcti.has_value()) return TctiSpec::Parse(*options.tcti);
  return TctiSpec::Parse(
      options.environment.Get("DEVICE_KEY_TCTI").value_or(std::string(kDefaultTcti)));
}

bool ResolveAllowSimulator(const Tpm2Options& options) {
  if (options.allow_simulator.has_value()) return *options.allow_simulator;
  return options.environment.Get("DEVICE_KEY_ALLOW_SIMULATOR") == "1";
}

template <class Area>
Area Unmarshalled(const Bytes& bytes) {
  Area value{};
  size_t offset = 0;
  if (!Unmarshal(bytes, offset, value) || offset != bytes.size()) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the stored TPM key is damaged: its areas cannot be read. Restore its "
                         "record from a backup or enroll again");
  }
  return value;
}

struct StoredKey {
  TPM2_HANDLE parent;
  TpmKeyBlob blob;
};

nlohmann::json EncodeHandle(const StoredKey& key) {
  const Tss2PrivateKey file{key.parent, Marshalled(key.blob.public_area),
                            Marshalled(key.blob.private_area)};
  return {{kHandleMember, file.ToPem()}};
}

StoredKey DecodeHandle(const nlohmann::json& handle) {
  if (!handle.is_object() || !handle.contains(kHandleMember) ||
      !handle[kHandleMember].is_string()) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the key's record is damaged: handle.tss2PrivateKey: expected a string");
  }
  const auto file = Tss2PrivateKey::FromPem(handle[kHandleMember].get<std::string>());
  const StoredKey key{file.parent,
                      {Unmarshalled<TPM2B_PUBLIC>(file.public_area),
                       Unmarshalled<TPM2B_PRIVATE>(file.private_area)}};
  // A record that was given a key of another making must not pass for one that cannot leave.
  if (!IsDeviceKey(key.blob.public_area.publicArea)) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the stored TPM key lacks the attributes that keep it inside the TPM");
  }
  return key;
}

// Does `work` and, where the TPM's state stood in the way, mends that and does it once more: other
// keys of ours give up their slots; what others or a reset took from us is loaded again. Nothing is
// tried again while everything is where we put it.
template <class Work>
decltype(auto) Recovering(TpmState& state, const OperationLimits& limits, Work work) {
  try {
    return work();
  } catch (const DeviceKeyError& error) {
    const TSS2_RC rc = error.platform_status().value_or(TSS2_RC_SUCCESS);
    if (IsObjectMemory(rc) && !state.keys.empty()) {
      state.keys.EvictTo(state.connection, 0, limits);
    } else if (BareTpmCode(rc) == TPM2_RC_SUCCESS || !state.ForgetLost(limits)) {
      throw;
    }
  }
  return work();
}

LoadedKey& LoadBelow(const StorageParent& parent, TpmState& state, const KeyId& id,
                     const TpmKeyBlob& blob, const OperationLimits& limits) {
  Bytes name = NameOf(blob.public_area);
  state.being_loaded = {name};
  TpmHandle handle = LoadKey(state.connection, parent.object.handle, blob, name, limits);
  state.being_loaded.clear();
  return state.keys.Insert({id.str(), std::move(name), std::move(handle), false, nullptr});
}

LoadedKey& Load(TpmState& state, const KeyId& id, const nlohmann::json& handle,
                const OperationLimits& limits) {
  const StoredKey key = DecodeHandle(handle);
  state.keys.MakeRoom(state.connection, 1, limits);
  const StorageParents::Lease parent(state.parents, key.parent, limits);
  return LoadBelow(parent.get(), state, id, key.blob, limits);
}

// The key if it is or was loaded; nullptr when it has to be loaded from its record.
LoadedKey* FindOrRestore(TpmState& state, const KeyId& id, const OperationLimits& limits) {
  if (LoadedKey* key = state.keys.Find(id.str())) return key;
  state.keys.MakeRoom(state.connection, 1, limits);
  return state.keys.Restore(state.connection, id.str(), state.being_loaded, limits);
}

// Flushes the key if it is loaded, and not what another client may have put into its slot.
void Drop(TpmState& state, const KeyId& id, const OperationLimits& limits) {
  LoadedKey* key = state.keys.Find(id.str());
  if (key != nullptr && !IsStillLoaded(state.connection, key->handle.get(), key->name, limits)) {
    key->handle.Abandon();
  }
  state.keys.Remove(id.str());
}

}  // namespace

Tpm2Provider::Tpm2Provider(const Tpm2Options& options)
    : tcti_(ResolveTcti(options)),
      allow_simulator_(ResolveAllowSimulator(options)),
      tpm_(SharedTpm::For(tcti_)) {}

void Tpm2Provider::RequireTrustedTpm() const {
  if (!tcti_.is_simulator() || allow_simulator_) return;
  throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                       "the TPM at \"" + tcti_.str() +
                           "\" is a simulator, which protects nothing. For tests and "
                           "demonstrations, allow it with allowSimulator: true or "
                           "DEVICE_KEY_ALLOW_SIMULATOR=1");
}

Availability Tpm2Provider::Probe(const OperationLimits& limits) {
  Availability availability;
  availability.details = {{"tcti", tcti_.str()}, {"simulator", tcti_.is_simulator()}};
  try {
    RequireTrustedTpm();
    tpm_->Use(limits, [&](TpmState& state) {
      availability.details.update(ReadTpmProperties(state.connection, limits));
      if (!HasP256(state.connection, limits)) {
        throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                             "the TPM at " + tcti_.conf + " has no NIST P-256 keys");
      }
      // Being able to use a parent is what Create needs; that it is listed proves nothing.
      state.keys.MakeRoom(state.connection, 1, limits);
      Recovering(state, limits, [&] {
        const TPM2_HANDLE parent = state.parents.Choose(limits);
        availability.details["persistentStorageKey"] = parent == kPersistentSrk;
        const StorageParents::Lease lease(state.parents, parent, limits);
        if (availability.details["inLockout"] && !state.parents.UsableInLockout(parent)) {
          throw TpmError("use the storage key at 0x81000001", TPM2_RC_LOCKOUT);
        }
      });
    });
  } catch (const DeviceKeyError& error) {
    availability.error = error;
  }
  return availability;
}

ProviderKey Tpm2Provider::Create(const KeyId& id, const KeyBinding& binding,
                                 const OperationLimits& limits) {
  RequireTrustedTpm();
  const TPM2B_AUTH auth = BindingAuthValue(binding);
  return tpm_->Use(limits, [&](TpmState& state) {
    state.keys.MakeRoom(state.connection, 1, limits);
    return Recovering(state, limits, [&] {
      StoredKey key{state.parents.Choose(limits), {}};
      const StorageParents::Lease parent(state.parents, key.parent, limits);
      key.blob = CreateDeviceKey(state.connection, parent.get(), auth, limits);
      // A key that cannot be loaded again would be lost at the first restart; find out now.
      LoadBelow(parent.get(), state, id, key.blob, limits);
      const TPMS_ECC_POINT& point = key.blob.public_area.publicArea.unique.ecc;
      return ProviderKey{
          SpkiFromPoint({point.x.buffer, point.x.size}, {point.y.buffer, point.y.size}),
          EncodeHandle(key)};
    });
  });
}

Bytes Tpm2Provider::Sign(const KeyId& id, const nlohmann::json& handle, const KeyBinding& binding,
                         const Sha256Digest& digest, const OperationLimits& limits) {
  RequireTrustedTpm();
  const TPM2B_AUTH auth = BindingAuthValue(binding);
  const auto sign = [&](TpmState& state, LoadedKey& key) {
    key.in_use = true;
    return SignDigest(state.connection, key.handle.get(), auth, digest, limits);
  };
  return tpm_->Use(limits, [&](TpmState& state) {
    return Recovering(state, limits, [&] {
      if (LoadedKey* key = FindOrRestore(state, id, limits)) {
        try {
          return sign(state, *key);
        } catch (const DeviceKeyError& error) {
          // Another process may have bound the key since it was loaded, which gave it another
          // authValue: it is loaded again before it is called wrong.
          if (error.code() != ErrorCode::kBindingMismatch ||
              !IsStillLoaded(state.connection, key->handle.get(), key->name, limits)) {
            throw;
          }
          state.keys.Remove(id.str());
        }
      }
      return sign(state, Load(state, id, handle, limits));
    });
  });
}

nlohmann::json Tpm2Provider::Bind(const KeyId& id, const nlohmann::json& handle,
                                  const KeyBinding& binding, const OperationLimits& limits) {
  RequireTrustedTpm();
  StoredKey key = DecodeHandle(handle);
  return tpm_->Use(limits, [&](TpmState& state) {
    Drop(state, id, limits);  // it may have another authValue than the one that `handle` has
    return Recovering(state, limits, [&] {
      const LoadedKey& loaded = Load(state, id, handle, limits);
      const StorageParents::Lease parent(state.parents, key.parent, limits);
      key.blob.private_area =
          ChangeAuth(state.connection, {loaded.handle.get(), loaded.name}, parent.get(),
                     BindingAuthValue(KeyBinding{}), BindingAuthValue(binding), limits);
      state.keys.Remove(id.str());
      return EncodeHandle(key);
    });
  });
}

void Tpm2Provider::Delete(const KeyId& id, const nlohmann::json&, const OperationLimits&) {
  // The record was the only place where the key existed.
  Unload(id);
}

void Tpm2Provider::Unload(const KeyId& id) {
  const OperationLimits limits{std::chrono::steady_clock::now() + kUnloadTimeout};
  try {
    tpm_->UseIfConnected(limits, [&](TpmState& state) { Drop(state, id, limits); });
  } catch (const DeviceKeyError&) {
    // A TPM that does not answer has no key of ours loaded that could be used.
  }
}

}  // namespace device_key
