// Hands settlements from the store's threads to a JavaScript function.
#ifndef DEVICE_KEY_ADDON_SETTLEMENT_CHANNEL_H_
#define DEVICE_KEY_ADDON_SETTLEMENT_CHANNEL_H_

#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

#include "keystore/async_device_key_store.h"

namespace device_key {

// Calls `on_settled(request, result | error)` on the JavaScript thread for each settlement, and
// all that are ready in one turn of the event loop. It keeps the process alive only while requests
// are outstanding.
class SettlementChannel {
 public:
  // On the JavaScript thread.
  static std::shared_ptr<SettlementChannel> Open(Napi::Env env, Napi::Function on_settled);

  // From any thread; a no-op after Close.
  void Push(Settlement settlement);

  // On the JavaScript thread: the number of outstanding requests has changed by one.
  void RequestStarted(Napi::Env env);
  void RequestCanceled(Napi::Env env);

  // On the JavaScript thread: no more settlements are delivered. Idempotent.
  void Close();

 private:
  static void CallJavaScript(napi_env env, napi_value on_settled, void* context, void* data);
  void Deliver(Napi::Env env, Napi::Function on_settled);
  void RequestsEnded(Napi::Env env, size_t count);

  // Changed on the JavaScript thread only; protects the next member from Close.
  std::mutex function_mutex_;
  napi_threadsafe_function function_ = nullptr;

  // Guards the next two. Not held while waking the JavaScript thread, which would wait for it.
  std::mutex ready_mutex_;
  std::vector<Settlement> ready_;
  bool scheduled_ = false;

  size_t outstanding_ = 0;  // JavaScript thread only
};

// {code, message, platformStatus?}; JavaScript makes a DeviceKeyError from it.
Napi::Object ErrorToJavaScript(Napi::Env env, const DeviceKeyError& error);

}  // namespace device_key

#endif  // DEVICE_KEY_ADDON_SETTLEMENT_CHANNEL_H_
