// AsyncDeviceKeyStore as a JavaScript class.
#ifndef DEVICE_KEY_ADDON_NATIVE_STORE_H_
#define DEVICE_KEY_ADDON_NATIVE_STORE_H_

#include <napi.h>

#include <memory>

#include "addon/settlement_channel.h"
#include "keystore/async_device_key_store.h"

namespace device_key {

// new NativeStore(options: string, onSettled: (request, result | error) => void)
//   .create(params: string): number   and so on: each starts a request and returns its number
//   .support(all: boolean): number
//   .cancel(request: number): boolean
//   .close(): number
//   .directory(): string      absolute; need not exist
//   .takePinQuestion(): string   .answerPin(pin: string): void
//   .abandon(): void          for the end of the process: settles no more requests, and waits
// Strings are JSON texts. Errors of a call are thrown as {code, message}, not an Error:
// lib/ makes the DeviceKeyError, so that there is only one class.
class NativeStore : public Napi::ObjectWrap<NativeStore> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit NativeStore(const Napi::CallbackInfo& info);
  ~NativeStore() override;

 private:
  template <uint64_t (AsyncDeviceKeyStore::*kStart)(std::string_view)>
  Napi::Value StartWithParams(const Napi::CallbackInfo& info);
  template <uint64_t (AsyncDeviceKeyStore::*kStart)()>
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Support(const Napi::CallbackInfo& info);
  Napi::Value Directory(const Napi::CallbackInfo& info);
  Napi::Value TakePinQuestion(const Napi::CallbackInfo& info);
  Napi::Value AnswerPin(const Napi::CallbackInfo& info);
  Napi::Value Cancel(const Napi::CallbackInfo& info);
  Napi::Value Abandon(const Napi::CallbackInfo& info);

  // Throws `closed` after Abandon.
  AsyncDeviceKeyStore& store() const;

  // Ends everything, within a bounded time, when the environment ends (a worker, or a
  // process without work), when JavaScript calls Abandon, or when the object is collected.
  void TearDown();
  static void OnEnvironmentEnd(void* store);

  std::shared_ptr<SettlementChannel> channel_;
  std::unique_ptr<AsyncDeviceKeyStore> store_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_ADDON_NATIVE_STORE_H_
