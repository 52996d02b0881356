// One PKCS#11 module as this process sees it: shared by all stores, used by one dedicated thread.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_MODULE_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_MODULE_H_

#include <atomic>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "platform/bounded_calls.h"
#include "providers/key_provider.h"
#include "providers/pkcs11/cryptoki_library.h"
#include "providers/pkcs11/pin.h"
#include "providers/pkcs11/token_session.h"

namespace device_key {

// The name that stands for all modules that are registered with p11-kit, except tpm2-pkcs11: that
// offers the TPM a second time, and is loaded only when it is named.
inline constexpr char kRegisteredModules[] = "p11-kit";

// The state of the module's thread. The module is initialized only while there are sessions,
// because modules such as SoftHSM notice added and removed tokens only when they are initialized.
class ModuleState {
 public:
  explicit ModuleState(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The tokens that are present now. Of several modules, ignores those that fail.
  std::vector<Token> Tokens();

  // The session with the token that matches `wanted`; nullptr when there is none.
  TokenSession* FindSession(const std::function<bool(const TokenIdentity&)>& wanted);
  // The session with `token`, opened when there is none.
  TokenSession& SessionWith(const Token& token);
  const std::list<TokenSession>& sessions() const { return sessions_; }

  // LogIn with one of the sessions; `logins` counts the logins that were necessary.
  void LogIn(TokenSession& session, const PinSource& pin);
  int logins() const { return logins_; }

  void ForgetKey(const KeyId& id);

  // Closes all sessions and finalizes the module; it is initialized again when it is next used.
  void Reset();

 private:
  // The module of that name, or the modules of kRegisteredModules.
  std::list<CryptokiLibrary>& Libraries();
  void DropSessionsOfParentProcess();

  const std::string name_;
  std::list<CryptokiLibrary> libraries_;  // empty until they are needed
  std::list<TokenSession> sessions_;
  int logins_ = 0;
};

class Pkcs11Module {
 public:
  // Keeps the module in use. When the last one is destroyed, the module closes its sessions and is
  // finalized.
  class User {
   public:
    // `name` as for DynamicLibrary, or kRegisteredModules. Loads nothing.
    explicit User(const std::string& name);
    ~User();
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    const std::string& name() const { return module_.state_.name(); }

    // Calls `work(ModuleState&)` on the module's thread and returns its result. A module cannot be
    // interrupted: after the deadline the call continues without a caller, so `work` must own
    // everything that it uses. Throws `device_timeout`, `closed`, or
    // `device_busy` when other work used all the time.
    template <class Work>
    auto Run(const OperationLimits& limits, Work work) {
      return module_.calls_.Run(limits, [&module = module_, work = std::move(work)]() mutable {
        const FinalizeUnlessUsed finalize{module.state_};
        return work(module.state_);
      });
    }

   private:
    Pkcs11Module& module_;
  };

 private:
  struct FinalizeUnlessUsed {
    ModuleState& state;
    ~FinalizeUnlessUsed() {
      if (state.sessions().empty()) state.Reset();
    }
  };

  explicit Pkcs11Module(const std::string& name);

  // The process's one object for `name`. Never destroyed: its thread may hang in the module.
  static Pkcs11Module& For(const std::string& name);

  ModuleState state_;  // used only by the thread of `calls_`
  BoundedCalls calls_;
  std::atomic<int> users_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_MODULE_H_
