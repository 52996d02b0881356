#include "keystore/test_providers.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdexcept>
#include <utility>

namespace device_key {
namespace {

std::string TextOf(const AuthValue& auth) { return {auth.begin(), auth.end()}; }

}  // namespace

ScopedEvpPkey NewSoftwareKey() {
  ScopedEvpPkey key(EVP_EC_gen("P-256"));
  if (key == nullptr) throw std::runtime_error("EVP_EC_gen failed");
  return key;
}

Bytes SpkiOf(EVP_PKEY* key) {
  Bytes der(static_cast<size_t>(i2d_PUBKEY(key, nullptr)));
  unsigned char* end = der.data();
  i2d_PUBKEY(key, &end);
  return der;
}

Bytes SignWith(EVP_PKEY* key, const Sha256Digest& digest) {
  const ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new(key, nullptr));
  size_t size = 128;
  Bytes signature(size);
  if (EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_sign(context.get(), signature.data(), &size, digest.data(), digest.size()) != 1) {
    throw std::runtime_error("EVP_PKEY_sign failed");
  }
  signature.resize(size);
  return signature;
}

Availability SoftwareProvider::Probe(const OperationLimits&) {
  ++probes;
  return {.error = std::nullopt, .details = {{"kind", "memory"}}};
}

ProviderKey SoftwareProvider::Create(const KeyId& id, const AuthValue& auth,
                                     const OperationLimits&) {
  ++creations;
  ScopedEvpPkey key = NewSoftwareKey();
  Bytes spki = SpkiOf(key.get());
  const std::lock_guard lock(mutex_);
  keys_[id.str()] = std::move(key);
  return {std::move(spki), {{"boundTo", TextOf(auth)}}};
}

Bytes SoftwareProvider::Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
                             const Sha256Digest& digest, const OperationLimits&) {
  ++signatures;
  if (handle.at("boundTo") != TextOf(auth)) {
    throw DeviceKeyError(ErrorCode::kBindingMismatch, "not the binding that the key was made for");
  }
  const std::lock_guard lock(mutex_);
  const auto key = keys_.find(id.str());
  if (key == keys_.end()) throw DeviceKeyError(ErrorCode::kKeyLost, "the key is gone");
  return SignWith(key->second.get(), digest);
}

nlohmann::json SoftwareProvider::Bind(const KeyId&, const nlohmann::json& handle,
                                      const AuthValue& current, const AuthValue& next,
                                      const OperationLimits&) {
  ++bindings;
  if (handle.at("boundTo") != TextOf(current)) {
    throw DeviceKeyError(ErrorCode::kBindingMismatch, "the key is somebody's already");
  }
  if (const auto hook = std::exchange(after_bind, nullptr)) hook();
  return {{"boundTo", TextOf(next)}};
}

void SoftwareProvider::Delete(const KeyId& id, const nlohmann::json&, const OperationLimits&) {
  if (on_delete) on_delete();
  const std::lock_guard lock(mutex_);
  keys_.erase(id.str());
}

void SoftwareProvider::Unload(const KeyId&, const OperationLimits&) { ++unloads; }

size_t SoftwareProvider::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_.size();
}

Bytes WrongKeyProvider::Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue& auth,
                             const Sha256Digest& digest, const OperationLimits& limits) {
  const Bytes honest = SoftwareProvider::Sign(id, handle, auth, digest, limits);
  return remaining_ > 0 ? SignWith(NewSoftwareKey().get(), digest) : honest;
}

void WrongKeyProvider::Unload(const KeyId& id, const OperationLimits& limits) {
  SoftwareProvider::Unload(id, limits);
  --remaining_;
}

}  // namespace device_key
