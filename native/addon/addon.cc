// The addon's entry point: what lib/native.ts loads.
#include <napi.h>

#include <string>

#include "addon/boundary.h"
#include "addon/native_store.h"
#include "platform/dynamic_library.h"
#include "protocol/decode.h"

namespace device_key {
namespace {

// checkShape(kind: 'create' | 'public' | 'sign', params: string): void
// Throws the error of decoding `params`. For the tests that compare the decoder with the schemas.
Napi::Value CheckShape(const Napi::CallbackInfo& info) {
  return AtBoundary(info.Env(), [&] {
    const std::string kind = info[0].As<Napi::String>();
    const std::string params = info[1].As<Napi::String>();
    if (kind == "create") {
      DecodeCreateParams(params);
    } else if (kind == "public") {
      DecodePublicParams(params);
    } else {
      DecodeSignParams(params);
    }
    return info.Env().Undefined();
  });
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  KeepThisLibraryLoaded();
  exports.Set("NativeStore", NativeStore::Define(env));
  exports.Set("checkShape", Napi::Function::New(env, CheckShape, "checkShape"));
  return exports;
}

}  // namespace
}  // namespace device_key

static Napi::Object InitDeviceKey(Napi::Env env, Napi::Object exports) {
  return device_key::Init(env, exports);
}

NODE_API_MODULE(device_key, InitDeviceKey)
