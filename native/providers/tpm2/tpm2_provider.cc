#include "providers/tpm2/tpm2_provider.h"

#include <chrono>
#include <utility>

#include "crypto/p256.h"
#include "providers/tpm2/key_handle.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/tpm_commands.h"
#include "providers/tpm2/tpm_properties.h"

namespace device_key {
namespace {

constexpr std::chrono::seconds kUnloadTimeout{5};

TctiSpec ResolveTcti(const Tpm2Options& options) {
  if (options.tcti.has_value()) return TctiSpec::Parse(*options.tcti);
  if (const std::optional<std::string> variable = options.environment.Get("DEVICE_KEY_TCTI")) {
    return TctiSpec::Parse(*variable, "DEVICE_KEY_TCTI");
  }
  return TctiSpec::Parse(kDefaultTcti);
}

bool ResolveAllowSimulator(const Tpm2Options& options) {
  if (options.allow_simulator.has_value()) return *options.allow_simulator;
  return options.environment.Get("DEVICE_KEY_ALLOW_SIMULATOR") == "1";
}

// Does `work`. When it fails and TpmState::Recover changes something, does it once more.
template <class Work>
decltype(auto) Recovering(TpmState& state, Work work) {
  try {
    return work();
  } catch (const DeviceKeyError& error) {
    if (!state.Recover(error.platform_status().value_or(TSS2_RC_SUCCESS))) throw;
  }
  return work();
}

LoadedKey& LoadBelow(const StorageParents::Lease& parent, TpmState& state, const KeyId& id,
                     const TpmKeyBlob& blob) {
  Bytes name = NameOf(blob.public_area);
  TpmHandle handle = LoadKey(state.connection, parent.handle(), blob, name);
  return state.keys.Insert({id.str(), std::move(name), std::move(handle), false, nullptr});
}

// Loads a key that the TPM has just made or changed: a key that cannot be loaded now would be lost
// at the first restart. LoadKey compares its name.
void LoadNew(const StorageParents::Lease& parent, TpmState& state, const KeyId& id,
             const TpmKeyBlob& blob) {
  try {
    LoadBelow(parent, state, id, blob);
  } catch (const DeviceKeyError& error) {
    if (error.code() != ErrorCode::kKeyLost && error.code() != ErrorCode::kStoreCorrupt) throw;
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "the TPM cannot load the key that it has just returned: its answer was "
                         "changed on the way. Try again",
                         error.platform_status());
  }
}

LoadedKey& Load(TpmState& state, const KeyId& id, const LoadableKey& key) {
  state.keys.MakeRoom(1);
  const StorageParents::Lease parent(state.parents, key.parent);
  return LoadBelow(parent, state, id, key.blob);
}

// The key if it is or was loaded; nullptr when it has to be loaded from its record.
LoadedKey* FindOrRestore(TpmState& state, const KeyId& id) {
  if (LoadedKey* key = state.keys.Find(id.str())) return key;
  state.keys.MakeRoom(1);
  return state.keys.Restore(id.str());
}

// Flushes the key if it is loaded, and not what another client may have put into its slot.
void Drop(TpmState& state, const KeyId& id) {
  LoadedKey* key = state.keys.Find(id.str());
  if (key != nullptr && !IsStillLoaded(state.connection, key->handle.get(), key->name)) {
    key->handle.Abandon();
  }
  state.keys.Remove(id.str());
}

}  // namespace

Tpm2Provider::Tpm2Provider(const Tpm2Options& options)
    : tcti_(ResolveTcti(options)),
      allow_simulator_(ResolveAllowSimulator(options)),
      tpm_(SharedTpm::For(tcti_)) {
  Tss2Library::Silence();
}

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
      if (state.connection.transport().is_vtpm_proxy()) availability.details["vtpmProxy"] = true;
      availability.details.update(ReadTpmProperties(state.connection));
      if (!HasP256(state.connection)) {
        throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                             "the TPM at " + tcti_.conf + " has no NIST P-256 keys");
      }
      // Create needs a parent that can be used; that one is listed does not prove it.
      state.keys.MakeRoom(1);
      Recovering(state, [&] {
        const TPM2_HANDLE parent = state.parents.Choose();
        availability.details["persistentStorageKey"] = parent == kPersistentSrk;
        const StorageParents::Lease lease(state.parents, {parent, {}});
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
    state.keys.MakeRoom(1);
    return Recovering(state, [&] {
      const StorageParents::Lease parent(state.parents, {state.parents.Choose(), {}});
      const TpmKeyBlob blob = CreateDeviceKey(state.connection, parent.handle(), auth);
      LoadNew(parent, state, id, blob);
      const TPMS_ECC_POINT& point = blob.public_area.publicArea.unique.ecc;
      return ProviderKey{
          SpkiFromPoint({point.x.buffer, point.x.size}, {point.y.buffer, point.y.size}),
          EncodeHandle({parent.reference(), blob})};
    });
  });
}

Bytes Tpm2Provider::Sign(const KeyId& id, const nlohmann::json& handle, const KeyBinding& binding,
                         const Sha256Digest& digest, const OperationLimits& limits) {
  RequireTrustedTpm();
  const TPM2B_AUTH auth = BindingAuthValue(binding);
  const auto sign = [&](TpmState& state, LoadedKey& key) {
    key.in_use = true;
    return SignDigest(state.connection, key.handle.get(), auth, digest);
  };
  return tpm_->Use(limits, [&](TpmState& state) {
    return Recovering(state, [&] {
      if (LoadedKey* key = FindOrRestore(state, id)) {
        try {
          return sign(state, *key);
        } catch (const DeviceKeyError& error) {
          // Another process may have bound the key since it was loaded, which gave it another
          // authValue: it is loaded again before it is called wrong.
          if (error.code() != ErrorCode::kBindingMismatch ||
              !IsStillLoaded(state.connection, key->handle.get(), key->name)) {
            throw;
          }
          state.keys.Remove(id.str());
        }
      }
      return sign(state, Load(state, id, DecodeHandle(handle)));
    });
  });
}

nlohmann::json Tpm2Provider::Bind(const KeyId& id, const nlohmann::json& handle,
                                  const KeyBinding& binding, const OperationLimits& limits) {
  RequireTrustedTpm();
  const LoadableKey unbound = DecodeHandle(handle);
  return tpm_->Use(limits, [&](TpmState& state) {
    Drop(state, id);  // it may have another authValue than the one that `handle` has
    return Recovering(state, [&] {
      const LoadedKey& loaded = Load(state, id, unbound);
      const StorageParents::Lease parent(state.parents, unbound.parent);
      LoadableKey bound{parent.reference(), unbound.blob};
      bound.blob.private_area =
          ChangeAuth(state.connection, loaded.handle.get(), parent.handle(),
                     BindingAuthValue(KeyBinding{}), BindingAuthValue(binding));
      state.keys.Remove(id.str());
      // The caller replaces the record with what is returned here.
      LoadNew(parent, state, id, bound.blob);
      return EncodeHandle(bound);
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
    tpm_->UseIfConnected(limits, [&](TpmState& state) { Drop(state, id); });
  } catch (const DeviceKeyError&) {
    // A TPM that does not answer has no key of ours loaded that could be used.
  }
}

}  // namespace device_key
