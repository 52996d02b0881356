#include "providers/pkcs11/pkcs11_provider.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "providers/pkcs11/key_objects.h"
#include "providers/pkcs11/login.h"
#include "providers/pkcs11/pkcs11_status.h"

namespace device_key {
namespace {

#if defined(__APPLE__)
constexpr bool kFindsPlainNames = false;
#else
constexpr bool kFindsPlainNames = true;
#endif
constexpr char kHandleMember[] = "token";
constexpr std::chrono::milliseconds kLookAgainAfter[] = {
    std::chrono::milliseconds(20), std::chrono::milliseconds(40), std::chrono::milliseconds(80)};

std::optional<TokenUri> ResolveToken(const Pkcs11Options& options) {
  if (options.token) return TokenUri::Parse(*options.token, "options.pkcs11.token");
  const auto variable = options.environment.Get("DEVICE_KEY_PKCS11_TOKEN");
  if (variable) return TokenUri::Parse(*variable, "DEVICE_KEY_PKCS11_TOKEN");
  return std::nullopt;
}

std::string ResolveModule(const Pkcs11Options& options, const std::optional<TokenUri>& token) {
  std::optional<std::string> module = options.module;
  if (!module && token) module = token->module_path;
  if (!module) module = options.environment.Get("DEVICE_KEY_PKCS11_MODULE");
  if (!module) return kRegisteredModules;
  const bool plain = kFindsPlainNames && module->find('/') == std::string::npos;
  if (!plain && !module->starts_with('/')) {
    throw DeviceKeyError(
        ErrorCode::kInvalidParams,
        std::string("options.pkcs11.module: expected an absolute path") +
            (kFindsPlainNames ? ", or a file name that the system's loader finds" : ""));
  }
  return *module;
}

PinSource ResolvePin(const Pkcs11Options& options, const std::optional<TokenUri>& token) {
  PinSource pin = options.pin;
  if (pin.kind() != "none") return pin;
  if (token) {
    pin.file = token->pin_source;
    pin.value = token->pin_value;
  }
  if (pin.kind() == "none") pin.value = options.environment.Get("DEVICE_KEY_PKCS11_PIN");
  return pin;
}

// A path without a file is no fallback. This looks for the file but does not load it.
bool IsConfigured(const std::string& module, bool token_given, bool pin_given) {
  if (module == kRegisteredModules) return token_given || pin_given;
  std::error_code ignored;
  return !module.starts_with('/') || std::filesystem::exists(module, ignored);
}

TokenUri DecodeHandle(const nlohmann::json& handle) {
  if (!handle.is_object() || !handle.contains(kHandleMember) ||
      !handle[kHandleMember].is_string()) {
    throw DeviceKeyError(ErrorCode::kStoreCorrupt,
                         "the key's record is damaged: handle.token: expected a string");
  }
  return TokenUri::Parse(handle[kHandleMember].get<std::string>(),
                         "the key's record is damaged: handle.token");
}

std::string Shown(const std::string& module, const std::vector<Token>& tokens) {
  return tokens.empty() ? module + " shows no tokens" : module + " shows " + Enumerate(tokens);
}

DeviceKeyError TokenMissing(const std::string& module, const std::vector<Token>& present,
                            const TokenUri& wanted) {
  return DeviceKeyError(ErrorCode::kTokenMissing, "the token " + wanted.Description() +
                                                      " is missing; insert or connect it (" +
                                                      Shown(module, present) + ")");
}

// The tokens that are present. Looks again while none of them is `wanted`: SoftHSM truncates a
// token's file at each login and writes it again, and a process that reads it at this moment sees a
// token without a name that is not initialized. A module that shows no token at all, such as a
// reader without a card, is believed.
std::vector<Token> LookFor(ModuleState& state, const std::function<bool(const Token&)>& wanted) {
  for (const std::chrono::milliseconds pause : kLookAgainAfter) {
    std::vector<Token> present = state.Tokens();
    const bool found = std::any_of(present.begin(), present.end(), wanted);
    // The module is not initialized again under open sessions: Recovering does that.
    if (found || present.empty() || !state.sessions().empty()) return present;
    state.Reset();
    std::this_thread::sleep_for(pause);
  }
  return state.Tokens();
}

// The first token in `present` that matches `wanted`.
Token FindToken(const std::string& module, const std::vector<Token>& present,
                const TokenUri& wanted) {
  for (const Token& token : present) {
    if (wanted.Matches(token.identity)) return token;
  }
  throw TokenMissing(module, present, wanted);
}

// Does `work`. If our state of the token may be stale, resets the module and does `work` once more.
template <class Work>
auto Recovering(ModuleState& state, Work work) {
  const int logins = state.logins();
  try {
    return work();
  } catch (const LoginError&) {
    throw;
  } catch (const DeviceKeyError& error) {
    const bool stale = error.code() == ErrorCode::kKeyLost ||
                       error.code() == ErrorCode::kTokenMissing ||
                       IsStaleSession(error.platform_status().value_or(CKR_OK));
    // Without a session the module has just been initialized and would fail again. So would a token
    // that has just been logged in to, and the prompt would ask for its PIN again.
    if (!stale || state.sessions().empty() || state.logins() != logins) throw;
  }
  state.Reset();
  return work();
}

nlohmann::json Describe(const Token& token) {
  nlohmann::json description = {{"uri", token.identity.Uri()},
                                {"label", token.identity.label},
                                {"serial", token.identity.serial},
                                {"manufacturer", token.identity.manufacturer},
                                {"model", token.identity.model},
                                {"usable", token.obstacle.empty()},
                                {"obstacle", nullptr},
                                {"pinPad", token.has(CKF_PROTECTED_AUTHENTICATION_PATH)},
                                {"lastPinWasWrong", token.has(CKF_USER_PIN_COUNT_LOW)},
                                {"finalTry", token.has(CKF_USER_PIN_FINAL_TRY)},
                                {"pinLocked", token.has(CKF_USER_PIN_LOCKED)}};
  if (!token.obstacle.empty()) description["obstacle"] = token.obstacle;
  return description;
}

}  // namespace

Pkcs11Provider::Pkcs11Provider(const Pkcs11Options& options)
    : choice_([&] {
        std::optional<TokenUri> token = ResolveToken(options);
        PinSource pin = ResolvePin(options, token);
        return std::make_shared<const Choice>(Choice{std::move(token), std::move(pin)});
      }()),
      module_(ResolveModule(options, choice_->token)),
      configured_(IsConfigured(module_.name(), choice_->token.has_value(),
                               choice_->pin.kind() != "none")) {}

Token Pkcs11Provider::ChooseToken(ModuleState& state, const Choice& choice) {
  const auto matches = [&](const Token& token) {
    return !choice.token || choice.token->Matches(token.identity);
  };
  const std::vector<Token> present =
      LookFor(state, [&](const Token& token) { return matches(token) && token.obstacle.empty(); });
  std::vector<Token> wanted;
  std::copy_if(present.begin(), present.end(), std::back_inserter(wanted), matches);
  if (choice.token && wanted.empty()) {
    throw TokenMissing(state.name(), present, *choice.token);
  }
  std::vector<Token> usable;
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(usable),
               [](const Token& token) { return token.obstacle.empty(); });
  if (usable.empty()) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "no PKCS#11 token can hold device keys: " + Shown(state.name(), wanted));
  }
  if (usable.size() > 1) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "several PKCS#11 tokens can hold device keys; choose one with "
                         "pkcs11.token or DEVICE_KEY_PKCS11_TOKEN: " +
                             Enumerate(usable));
  }
  return usable.front();
}

TokenSession& Pkcs11Provider::OpenChosen(ModuleState& state, const Choice& choice) {
  TokenSession& session = state.SessionWith(ChooseToken(state, choice));
  state.LogIn(session, choice.pin);
  return session;
}

TokenSession& Pkcs11Provider::OpenRecorded(ModuleState& state, const Choice& choice,
                                           const TokenUri& recorded) {
  TokenSession* session =
      state.FindSession([&](const TokenIdentity& identity) { return recorded.Matches(identity); });
  if (session == nullptr) {
    const std::vector<Token> present =
        LookFor(state, [&](const Token& token) { return recorded.Matches(token.identity); });
    session = &state.SessionWith(FindToken(state.name(), present, recorded));
  }
  // The PIN belongs to the chosen token; another token would count it as a wrong one.
  const bool is_chosen = !choice.token || choice.token->Matches(session->token().identity);
  state.LogIn(*session, is_chosen ? choice.pin : PinSource{});
  return *session;
}

Availability Pkcs11Provider::Probe(const OperationLimits& limits) {
  return module_.Run(limits, [choice = choice_](ModuleState& state) {
    Availability availability;
    availability.details = {{"module", state.name()},
                            {"pin", choice->pin.kind()},
                            {"tokens", nlohmann::json::array()},
                            {"token", nullptr}};
    try {
      for (const Token& token : state.Tokens()) {
        availability.details["tokens"].push_back(Describe(token));
      }
      const Token token = ChooseToken(state, *choice);
      availability.details["token"] = token.identity.Uri();
      // A question asks for no PIN and tries none.
      availability.error = LoginObstacle(token, token.flags, choice->pin);
    } catch (const DeviceKeyError& error) {
      availability.error = error;
    }
    return availability;
  });
}

nlohmann::json Pkcs11Provider::Locate(const OperationLimits& limits) {
  return module_.Run(limits, [choice = choice_](ModuleState& state) -> nlohmann::json {
    const TokenSession& session = *Recovering(state, [&] { return &OpenChosen(state, *choice); });
    return {{kHandleMember, session.token().identity.Uri()}};
  });
}

ProviderKey Pkcs11Provider::Create(const KeyId& id, const AuthValue& auth,
                                   const OperationLimits& limits) {
  return CreateAt(Locate(limits), id, auth, limits);
}

ProviderKey Pkcs11Provider::CreateAt(const nlohmann::json& place, const KeyId& id, const AuthValue&,
                                     const OperationLimits& limits) {
  return module_.Run(limits, [choice = choice_, id, place](ModuleState& state) {
    const TokenUri token = DecodeHandle(place);
    // Do not repeat this: the key may exist in spite of the error.
    TokenSession& session =
        *Recovering(state, [&] { return &OpenRecorded(state, *choice, token); });
    return ProviderKey{GenerateKey(session, id), place};
  });
}

Bytes Pkcs11Provider::Sign(const KeyId& id, const nlohmann::json& handle, const AuthValue&,
                           const Sha256Digest& digest, const OperationLimits& limits) {
  return module_.Run(
      limits, [choice = choice_, id, digest, token = DecodeHandle(handle)](ModuleState& state) {
        return Recovering(
            state, [&] { return SignDigest(OpenRecorded(state, *choice, token), id, digest); });
      });
}

void Pkcs11Provider::Delete(const KeyId& id, const nlohmann::json& handle,
                            const OperationLimits& limits) {
  module_.Run(limits, [choice = choice_, id, token = DecodeHandle(handle)](ModuleState& state) {
    Recovering(state, [&] { DestroyKey(OpenRecorded(state, *choice, token), id); });
  });
}

void Pkcs11Provider::Unload(const KeyId& id, const OperationLimits& limits) {
  try {
    module_.Run(limits, [id](ModuleState& state) { state.ForgetKey(id); });
  } catch (const DeviceKeyError&) {
    // A module that does not answer is initialized again before its next use.
  }
}

}  // namespace device_key
