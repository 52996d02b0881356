#include "addon/native_store.h"

#include <chrono>
#include <string>

#include "addon/boundary.h"
#include "keystore/open_options.h"
#include "keystore/platform_providers.h"
#include "platform/path_text.h"

namespace device_key {
namespace {

// How long an exiting process waits for the running command, and then again for its interruption. A
// signature of a slow chip takes 190 ms; a TPM that hangs delays the exit by twice this time.
constexpr std::chrono::milliseconds kExitGrace{500};

std::string StringArgument(const Napi::CallbackInfo& info, size_t index) {
  if (info.Length() <= index || !info[index].IsString()) {
    throw DeviceKeyError(ErrorCode::kInvalidParams, "expected a JSON text");
  }
  return info[index].As<Napi::String>().Utf8Value();
}

// Not Napi::String::Utf8Value, which would leave a copy of the PIN in memory.
Pin PinArgument(const Napi::CallbackInfo& info, size_t index) {
  size_t size = 0;
  if (info.Length() <= index ||
      napi_get_value_string_utf8(info.Env(), info[index], nullptr, 0, &size) != napi_ok) {
    throw DeviceKeyError(ErrorCode::kInvalidParams, "expected a string");
  }
  return Pin(size + 1, [&](char* bytes) {
    napi_get_value_string_utf8(info.Env(), info[index], bytes, size + 1, &size);
    return size;
  });
}

}  // namespace

Napi::Function NativeStore::Define(Napi::Env env) {
  return DefineClass(
      env, "NativeStore",
      {
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::Create>>("create"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::CreateUnbound>>(
              "createUnbound"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::Public>>("public"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::Sign>>("sign"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::SignBytes>>(
              "signBytes"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::CreateDpopKey>>(
              "createDpopKey"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::SignDpop>>("signDpop"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::Delete>>("delete"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::Attest>>("attest"),
          InstanceMethod<&NativeStore::StartWithParams<&AsyncDeviceKeyStore::ActivateAttestation>>(
              "activateAttestation"),
          InstanceMethod<&NativeStore::Start<&AsyncDeviceKeyStore::List>>("list"),
          InstanceMethod<&NativeStore::Support>("support"),
          InstanceMethod<&NativeStore::Start<&AsyncDeviceKeyStore::Close>>("close"),
          InstanceMethod<&NativeStore::Directory>("directory"),
          InstanceMethod<&NativeStore::TakePinQuestion>("takePinQuestion"),
          InstanceMethod<&NativeStore::AnswerPin>("answerPin"),
          InstanceMethod<&NativeStore::Cancel>("cancel"),
          InstanceMethod<&NativeStore::Abandon>("abandon"),
      });
}

NativeStore::NativeStore(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeStore>(info) {
  AtBoundary(info.Env(), [&] {
    const OpenOptions options = DecodeOpenOptions(StringArgument(info, 0));
    if (info.Length() < 2 || !info[1].IsFunction()) {
      throw DeviceKeyError(ErrorCode::kInvalidParams, "expected a function");
    }
    auto providers = PlatformProviders(options);
    channel_ = SettlementChannel::Open(info.Env(), info[1].As<Napi::Function>());
    store_ = std::make_unique<AsyncDeviceKeyStore>(
        options, std::move(providers),
        [channel = channel_](Settlement settlement) { channel->Push(std::move(settlement)); });
    // Hooks run last-in first-out, so the worker threads stop before the channel closes.
    napi_add_env_cleanup_hook(info.Env(), &OnEnvironmentEnd, this);
    return info.Env().Undefined();
  });
}

NativeStore::~NativeStore() { TearDown(); }

void NativeStore::OnEnvironmentEnd(void* store) { static_cast<NativeStore*>(store)->TearDown(); }

void NativeStore::TearDown() {
  if (store_ == nullptr) return;
  napi_remove_env_cleanup_hook(Env(), &OnEnvironmentEnd, this);
  channel_->Close();
  store_->Abandon(kExitGrace);
  store_.reset();
}

template <uint64_t (AsyncDeviceKeyStore::*kStart)(std::string_view)>
Napi::Value NativeStore::StartWithParams(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&]() -> Napi::Value {
    const uint64_t request = (store().*kStart)(StringArgument(info, 0));
    channel_->RequestStarted(info.Env());
    return Napi::Number::New(info.Env(), static_cast<double>(request));
  });
}

template <uint64_t (AsyncDeviceKeyStore::*kStart)()>
Napi::Value NativeStore::Start(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&]() -> Napi::Value {
    const uint64_t request = (store().*kStart)();
    channel_->RequestStarted(info.Env());
    return Napi::Number::New(info.Env(), static_cast<double>(request));
  });
}

Napi::Value NativeStore::Support(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&]() -> Napi::Value {
    const bool all = info.Length() > 0 && info[0].ToBoolean();
    const uint64_t request = store().Support(all);
    channel_->RequestStarted(info.Env());
    return Napi::Number::New(info.Env(), static_cast<double>(request));
  });
}

Napi::Value NativeStore::Directory(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), Utf8FromPath(store().directory()));
  });
}

Napi::Value NativeStore::TakePinQuestion(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), store().TakePinQuestion());
  });
}

Napi::Value NativeStore::AnswerPin(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&] {
    store().AnswerPin(PinArgument(info, 0));
    return info.Env().Undefined();
  });
}

Napi::Value NativeStore::Cancel(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&]() -> Napi::Value {
    const bool canceled =
        store().Cancel(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    if (canceled) channel_->RequestCanceled(info.Env());
    return Napi::Boolean::New(info.Env(), canceled);
  });
}

Napi::Value NativeStore::Abandon(const Napi::CallbackInfo& info) {
  TearDown();
  return info.Env().Undefined();
}

AsyncDeviceKeyStore& NativeStore::store() const {
  if (store_ == nullptr) {
    throw DeviceKeyError(ErrorCode::kClosed, "the key store is closed; open another");
  }
  return *store_;
}

}  // namespace device_key
