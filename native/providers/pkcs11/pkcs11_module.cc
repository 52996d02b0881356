#include "providers/pkcs11/pkcs11_module.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <mutex>

#include "platform/dynamic_library.h"
#include "providers/pkcs11/login.h"
#include "providers/pkcs11/p11_kit_modules.h"

namespace device_key {
namespace {

// How long closing the last store waits for the module to close its sessions.
constexpr std::chrono::seconds kReleaseTimeout{1};
// On macOS dlopen(3) also searches the working directory for a plain file name, which others may be
// able to write; Homebrew's p11-kit is at a path that depends on the processor.
#if defined(__APPLE__) && defined(__aarch64__)
constexpr char kP11KitProxy[] = "/opt/homebrew/lib/p11-kit-proxy.dylib";
#elif defined(__APPLE__)
constexpr char kP11KitProxy[] = "/usr/local/lib/p11-kit-proxy.dylib";
#else
constexpr char kP11KitProxy[] = "p11-kit-proxy.so";
#endif

}  // namespace

std::vector<Token> ModuleState::Tokens() {
  DropSessionsOfParentProcess();
  std::list<CryptokiLibrary>& libraries = Libraries();
  std::vector<Token> tokens;
  for (CryptokiLibrary& library : libraries) {
    try {
      std::vector<Token> more = ListTokens(library.Functions());
      std::move(more.begin(), more.end(), std::back_inserter(tokens));
    } catch (const DeviceKeyError&) {
      // Registered modules stay registered when their devices are removed.
      if (name_ != kRegisteredModules) throw;
    }
  }
  return tokens;
}

TokenSession* ModuleState::FindSession(const std::function<bool(const TokenIdentity&)>& wanted) {
  DropSessionsOfParentProcess();
  for (TokenSession& session : sessions_) {
    if (wanted(session.token().identity)) return &session;
  }
  return nullptr;
}

TokenSession& ModuleState::SessionWith(const Token& token) {
  TokenSession* session =
      FindSession([&](const TokenIdentity& identity) { return identity == token.identity; });
  return session != nullptr ? *session : sessions_.emplace_back(*token.module, token);
}

void ModuleState::LogIn(TokenSession& session, const PinSource& pin) {
  if (device_key::LogIn(session, pin, RefusedPins::OfProcess())) ++logins_;
}

void ModuleState::ForgetKey(const KeyId& id) {
  for (TokenSession& session : sessions_) session.keys.erase(id.str());
}

void ModuleState::Reset() {
  sessions_.clear();
  for (CryptokiLibrary& library : libraries_) library.Finalize();
  libraries_.clear();
}

std::list<CryptokiLibrary>& ModuleState::Libraries() {
  if (!libraries_.empty()) return libraries_;
  if (name_ != kRegisteredModules) {
    libraries_.emplace_back(name_);
    return libraries_;
  }
  const std::vector<RegisteredModule> modules = RegisteredModules();
  const bool by_proxy =
      modules.empty() || std::any_of(modules.begin(), modules.end(),
                                     [](const auto& module) { return module.needs_proxy; });
  if (by_proxy) {
    libraries_.emplace_back(kP11KitProxy);
    return libraries_;
  }
  const void* in_proxy = reinterpret_cast<const void*>(
      DynamicLibrary::Open(kP11KitProxy).Symbol<C_GetFunctionListFunction>("C_GetFunctionList"));
  for (const RegisteredModule& module : modules) {
    if (!module.IsTpm2Pkcs11()) libraries_.emplace_back(PathOf(module, in_proxy));
  }
  return libraries_;
}

void ModuleState::DropSessionsOfParentProcess() {
  const bool forked = std::any_of(libraries_.begin(), libraries_.end(),
                                  [](const auto& library) { return library.IsForked(); });
  if (!forked) return;
  for (TokenSession& session : sessions_) session.Abandon();
  sessions_.clear();
}

Pkcs11Module::Pkcs11Module(const std::string& name)
    : state_(name),
      calls_(
          BoundedCalls::Threads::kOne, "device-key-p11",
          {.timeout = "the PKCS#11 module did not answer in time. If the token has a PIN "
                      "pad, it may be waiting for the user: raise timeoutMs; otherwise check the "
                      "reader, or the module's service",
           .busy = "the PKCS#11 module was busy with other requests of this process until the "
                   "deadline; try again"}) {}

Pkcs11Module& Pkcs11Module::For(const std::string& name) {
  static auto& mutex = *new std::mutex;
  static auto& modules = *new std::map<std::string, Pkcs11Module*>;
  const std::lock_guard lock(mutex);
  Pkcs11Module*& module = modules[name];
  if (module == nullptr) module = new Pkcs11Module(name);
  return *module;
}

Pkcs11Module::User::User(const std::string& name) : module_(For(name)) { ++module_.users_; }

Pkcs11Module::User::~User() {
  if (--module_.users_ > 0) return;
  try {
    Run({std::chrono::steady_clock::now() + kReleaseTimeout}, [&module = module_](ModuleState& s) {
      if (module.users_ == 0) s.Reset();
    });
  } catch (const DeviceKeyError&) {
    // Leave a module that hangs as it is.
  }
}

}  // namespace device_key
