#include "addon/settlement_channel.h"

#include <cstdio>
#include <string>
#include <utility>

namespace device_key {
namespace {

std::string Hex(uint32_t status) {
  char text[11];
  std::snprintf(text, sizeof text, "0x%x", status);
  return text;
}

}  // namespace

Napi::Object ErrorToJavaScript(Napi::Env env, const DeviceKeyError& error) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("code", std::string(ErrorCodeName(error.code())));
  object.Set("message", std::string(error.what()));
  if (error.platform_status().has_value()) {
    object.Set("platformStatus", Hex(*error.platform_status()));
  }
  return object;
}

std::shared_ptr<SettlementChannel> SettlementChannel::Open(Napi::Env env,
                                                           Napi::Function on_settled) {
  auto channel = std::make_shared<SettlementChannel>();
  // The function's reference to the channel; its finalizer releases it. A call may still be
  // pending when no other reference to the channel is left.
  using Reference = std::shared_ptr<SettlementChannel>;
  auto reference = std::make_unique<Reference>(channel);
  const napi_status status = napi_create_threadsafe_function(
      env, on_settled, nullptr, Napi::String::New(env, "device-key"), /*max_queue_size=*/0,
      /*initial_thread_count=*/1, /*thread_finalize_data=*/reference.get(),
      [](napi_env, void* data, void*) {
        const std::unique_ptr<Reference> returned(static_cast<Reference*>(data));
      },
      /*context=*/channel.get(), &CallJavaScript, &channel->function_);
  if (status != napi_ok) {
    throw DeviceKeyError(
        ErrorCode::kPlatformError,
        "could not open a way back to JavaScript (Node-API status " + std::to_string(status) + ")");
  }
  (void)reference.release();  // the finalizer has it
  napi_unref_threadsafe_function(env, channel->function_);
  return channel;
}

void SettlementChannel::Push(Settlement settlement) {
  {
    const std::lock_guard lock(ready_mutex_);
    ready_.push_back(std::move(settlement));
    if (std::exchange(scheduled_, true)) return;
  }
  const std::lock_guard lock(function_mutex_);
  if (function_ == nullptr) return;
  napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void SettlementChannel::CallJavaScript(napi_env env, napi_value on_settled, void* context, void*) {
  if (env == nullptr) return;  // the environment is going down
  // While a worker is being terminated every call into JavaScript fails. Node-API calls this
  // function directly, so it must catch the exception that node-addon-api throws.
  try {
    static_cast<SettlementChannel*>(context)->Deliver(env, Napi::Function(env, on_settled));
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  }
}

void SettlementChannel::Deliver(Napi::Env env, Napi::Function on_settled) {
  std::vector<Settlement> settlements;
  {
    const std::lock_guard lock(ready_mutex_);
    settlements.swap(ready_);
    scheduled_ = false;
  }
  RequestsEnded(env, settlements.size());
  for (const Settlement& settlement : settlements) {
    const Napi::HandleScope scope(env);
    const auto request = Napi::Number::New(env, static_cast<double>(settlement.request));
    if (settlement.error.has_value()) {
      on_settled.Call({request, ErrorToJavaScript(env, *settlement.error)});
    } else {
      on_settled.Call({request, Napi::String::New(env, settlement.result)});
    }
  }
}

void SettlementChannel::RequestStarted(Napi::Env env) {
  if (outstanding_++ == 0) napi_ref_threadsafe_function(env, function_);
}

void SettlementChannel::RequestCanceled(Napi::Env env) { RequestsEnded(env, 1); }

void SettlementChannel::RequestsEnded(Napi::Env env, size_t count) {
  outstanding_ -= count;
  if (count > 0 && outstanding_ == 0) napi_unref_threadsafe_function(env, function_);
}

void SettlementChannel::Close() {
  const std::lock_guard lock(function_mutex_);
  if (function_ == nullptr) return;
  napi_release_threadsafe_function(std::exchange(function_, nullptr), napi_tsfn_abort);
}

}  // namespace device_key
