#include "providers/pkcs11/pkcs11_module.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

namespace device_key {
namespace {

// How often a thread that waits for the module looks whether it should give up.
constexpr std::chrono::milliseconds kWaitSlice{50};
// How long closing the last store waits for the module to let go of its tokens.
constexpr std::chrono::seconds kReleaseTimeout{1};
constexpr size_t kQueueLimit = 65536;  // each store has a limit of its own

}  // namespace

std::vector<Token> ModuleState::Tokens() { return ListTokens(Functions()); }

TokenSession* ModuleState::FindSession(const std::function<bool(const TokenIdentity&)>& wanted) {
  Functions();  // drops the sessions of a process that this one was forked from
  for (TokenSession& session : sessions_) {
    if (wanted(session.token().identity)) return &session;
  }
  return nullptr;
}

TokenSession& ModuleState::SessionWith(const Token& token) {
  TokenSession* session =
      FindSession([&](const TokenIdentity& identity) { return identity == token.identity; });
  return session != nullptr ? *session : sessions_.emplace_back(Functions(), token);
}

void ModuleState::ForgetKey(const KeyId& id) {
  for (TokenSession& session : sessions_) session.keys.erase(id.str());
}

void ModuleState::Reset() {
  sessions_.clear();
  library_.Finalize();
}

const CK_FUNCTION_LIST& ModuleState::Functions() {
  if (library_.IsForked()) {
    for (TokenSession& session : sessions_) session.Abandon();
    sessions_.clear();
  }
  return library_.Functions();
}

Pkcs11Module::Pkcs11Module(const std::string& name)
    : state_(name), queue_("device-key-p11", kQueueLimit) {}

Pkcs11Module& Pkcs11Module::For(const std::string& name) {
  static auto& mutex = *new std::mutex;
  static auto& modules = *new std::map<std::string, Pkcs11Module*>;
  const std::lock_guard lock(mutex);
  Pkcs11Module*& module = modules[name];
  if (module == nullptr) module = new Pkcs11Module(name);
  return *module;
}

void Pkcs11Module::Await(
    const OperationLimits& limits, uint64_t task,
    const std::function<bool(std::chrono::steady_clock::time_point)>& wait_until) {
  do {
    if (limits.interrupt != nullptr && limits.interrupt->triggered()) {
      queue_.Remove(task);
      throw DeviceKeyError(ErrorCode::kClosed, "the key store was closed during the operation");
    }
    const auto slice = std::chrono::steady_clock::now() + kWaitSlice;
    if (wait_until(std::min(slice, limits.deadline))) return;
  } while (std::chrono::steady_clock::now() < limits.deadline);
  if (queue_.Remove(task)) {
    throw DeviceKeyError(ErrorCode::kDeviceBusy,
                         "the PKCS#11 module was busy with other requests of this process until "
                         "the time was up; try again");
  }
  throw DeviceKeyError(ErrorCode::kDeviceTimeout,
                       "the PKCS#11 module did not answer in time. A token with a PIN pad may be "
                       "waiting for its user: raise timeoutMs; otherwise check the reader, or the "
                       "service behind the module");
}

Pkcs11Module::User::User(const std::string& name) : module_(For(name)) { ++module_.users_; }

Pkcs11Module::User::~User() {
  if (--module_.users_ > 0) return;
  try {
    Run({std::chrono::steady_clock::now() + kReleaseTimeout}, [&module = module_](ModuleState& s) {
      if (module.users_ == 0) s.Reset();
    });
  } catch (const DeviceKeyError&) {
    // A module that hangs keeps what it has.
  }
}

}  // namespace device_key
