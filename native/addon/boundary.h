// The boundary between C++ exceptions and JavaScript ones.
#ifndef DEVICE_KEY_ADDON_BOUNDARY_H_
#define DEVICE_KEY_ADDON_BOUNDARY_H_

#include <napi.h>

#include <exception>

#include "addon/settlement_channel.h"
#include "platform/error.h"

namespace device_key {

// Returns the result of `work`. A DeviceKeyError becomes a pending JavaScript exception {code,
// message, platformStatus?}, and the result is undefined.
template <class Work>
Napi::Value AtBoundary(Napi::Env env, Work work) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;  // from node-addon-api: JavaScript threw
  } catch (const DeviceKeyError& error) {
    napi_throw(env, ErrorToJavaScript(env, error));
  } catch (const std::exception& error) {
    napi_throw(env,
               ErrorToJavaScript(env, DeviceKeyError(ErrorCode::kPlatformError, error.what())));
  }
  return env.Undefined();
}

}  // namespace device_key

#endif  // DEVICE_KEY_ADDON_BOUNDARY_H_
