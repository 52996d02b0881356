// One PKCS#11 module as this process sees it: shared by all stores, used by one thread of its own.
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

// A module's name that stands for those that are registered with p11-kit, except for tpm2-pkcs11:
// that is the TPM once more, and has to be named.
inline constexpr char kRegisteredModules[] = "p11-kit";

// What the module's thread works with. The module is initialized for as long as there are sessions:
// modules such as SoftHSM see tokens that were added, removed or put back only then.
class ModuleState {
 public:
  explicit ModuleState(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The tokens that are present now. Of several modules, those that fail are passed over.
  std::vector<Token> Tokens();

  // The session with the token that `wanted` says is the one; nullptr when there is none.
  TokenSession* FindSession(const std::function<bool(const TokenIdentity&)>& wanted);
  // The session with `token`, opened when there is none.
  TokenSession& SessionWith(const Token& token);
  const std::list<TokenSession>& sessions() const { return sessions_; }

  // LogIn with one of the sessions; `logins` counts those that were needed.
  void LogIn(TokenSession& session, const PinSource& pin);
  int logins() const { return logins_; }

  void ForgetKey(const KeyId& id);

  // Closes all sessions and finalizes the module; it is initialized again when it is next used.
  void Reset();

 private:
  // The module of that name, or those behind kRegisteredModules.
  std::list<CryptokiLibrary>& Libraries();
  void DropSessionsOfParentProcess();

  const std::string name_;
  std::list<CryptokiLibrary> libraries_;  // empty until they are needed
  std::list<TokenSession> sessions_;
  int logins_ = 0;
};

class Pkcs11Module {
 public:
  // Keeps the module in use. The last one to go has it let go of tokens and finalized.
  class User {
   public:
    // `name` as for DynamicLibrary, or kRegisteredModules. Loads nothing.
    explicit User(const std::string& name);
    ~User();
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    const std::string& name() const { return module_.state_.name(); }

    // Calls `work(ModuleState&)` on the module's thread and returns what it returns or throws. A
    // module cannot be interrupted: when the limits are reached the call goes on without a caller,
    // so `work` must own everything that it touches. Throws `device_timeout`, `closed`, or
    // `device_busy` when other work took all the time.
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

  ModuleState state_;  // used by the thread of `calls_` alone
  BoundedCalls calls_;
  std::atomic<int> users_ = 0;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_MODULE_H_
