// The way of settlements from the store's threads to a JavaScript function.
#ifndef DEVICE_KEY_ADDON_SETTLEMENT_CHANNEL_H_
#define DEVICE_KEY_ADDON_SETTLEMENT_CHANNEL_H_

#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

#include "keystore/async_device_key_store.h"

namespace device_key {

// Calls `on_settled(request, result | error)` on the JavaScript thread for each settlement, in one
// turn of the event loop for all that have come together since the last. While requests are
// outstanding it keeps the process alive, and only then.
class SettlementChannel {
 public:
  // On the JavaScript thread.
  static std::shared_ptr<SettlementChannel> Open(Napi::Env env, Napi::Function on_settled);

  // From any thread; a no-op after Close.
  void Push(Settlement settlement);

  // On the JavaScript thread: how many requests are outstanding has changed by one.
  void RequestStarted(Napi::Env env);
  void RequestCanceled(Napi::Env env);

  // On the JavaScript thread: nothing is delivered any more. Idempotent.
  void Close();

 private:
  static void CallJavaScript(napi_env env, napi_value on_settled, void* context, void* data);
  void Deliver(Napi::Env env, Napi::Function on_settled);
  void RequestsEnded(Napi::Env env, size_t count);

  // Changed on the JavaScript thread alone; guards the next against Close.
  std::mutex function_mutex_;
  napi_threadsafe_function function_ = nullptr;

  // Guards the next two. Not held while the JavaScript thread is woken, which would run into it.
  std::mutex ready_mutex_;
  std::vector<Settlement> ready_;
  bool scheduled_ = false;

  size_t outstanding_ = 0;  // JavaScript thread only
};

// {code, message, platformStatus?}: what becomes a DeviceKeyError in JavaScript.
Napi::Object ErrorToJavaScript(Napi::Env env, const DeviceKeyError& error);

}  // namespace device_key

#endif  // DEVICE_KEY_ADDON_SETTLEMENT_CHANNEL_H_
