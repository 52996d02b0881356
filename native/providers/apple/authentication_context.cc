#include "providers/apple/authentication_context.h"

#include <objc/runtime.h>

#include "platform/dynamic_library.h"
#include "providers/apple/scoped_cf.h"

// Compilers turn `[[Class alloc] init]` into this call, since macOS 10.14.4 (clang's
// ObjCRuntime::shouldUseRuntimeFunctionForCombinedAllocInit). LAContext has no C functions. The
// caller owns the object.
extern "C" id objc_alloc_init(Class objc_class);

namespace device_key {
namespace {

// Null on a Mac without LocalAuthentication: then macOS asks for every use.
std::shared_ptr<const void> NewContext() {
  try {
    // Loaded here, since most programs do not need it. The library is in the system's shared cache;
    // there is no file of that name.
    DynamicLibrary::Open(
        "/System/Library/Frameworks/LocalAuthentication.framework/LocalAuthentication");
  } catch (const DeviceKeyError&) {
    // The class may exist nevertheless.
  }
  const Class context_class = objc_getClass("LAContext");
  if (context_class == nullptr) return nullptr;
  const id context = objc_alloc_init(context_class);
  if (context == nullptr) return nullptr;
  return {static_cast<const void*>(context), CfReleaser()};
}

}  // namespace

ReuseWindow::Context ReuseWindow::Current() {
  if (length_ == std::chrono::seconds(0)) return nullptr;
  const std::lock_guard lock(mutex_);
  if (end_ && Clock::now() >= *end_) {
    context_ = nullptr;
    end_ = std::nullopt;
  }
  if (context_ == nullptr) context_ = NewContext();
  return context_;
}

void ReuseWindow::Confirm(const Context& context) {
  const std::lock_guard lock(mutex_);
  if (context != nullptr && context == context_ && !end_) end_ = Clock::now() + length_;
}

void ReuseWindow::Close(const Context& context) {
  const std::lock_guard lock(mutex_);
  if (context != context_) return;
  context_ = nullptr;
  end_ = std::nullopt;
}

}  // namespace device_key
