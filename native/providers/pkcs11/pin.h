// Where a token's PIN comes from.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_PIN_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_PIN_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace device_key {

// A PIN, wiped from memory when it is no longer needed.
class Pin {
 public:
  explicit Pin(std::string text) : text_(std::move(text)) {}
  Pin(Pin&& other) noexcept : text_(std::move(other.text_)) { other.Wipe(); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { Wipe(); }

  const std::string& text() const { return text_; }

 private:
  void Wipe();
  std::string text_;
};

// A person who can be asked, on the far side of a boundary that must not be waited across: an
// operation that needs the PIN leaves a question and fails with `pin_required`; whoever hears that
// has the question answered and starts the operation again, which takes the answer. A PIN is for
// the token that was asked about: operations with several may wait at once, and another one's PIN
// would count as a wrong one. Thread-safe.
class PinPrompt {
 public:
  // `question["uri"]` names the token (TokenIdentity::Uri).
  void Ask(nlohmann::json question);
  // The last question, once; null when there is none.
  nlohmann::json TakeQuestion();

  // To the question that was taken last.
  void Answer(Pin pin);
  // The last answer for the token `uri`, once: a PIN that was typed in is not kept.
  std::optional<Pin> TakeAnswer(std::string_view uri);

 private:
  std::mutex mutex_;
  nlohmann::json question_;
  std::string taken_uri_;                            // of the question that was taken last
  std::map<std::string, Pin, std::less<>> answers_;  // by the token's URI
};

// The first that is set gives the PIN; the prompt is for tokens without a PIN pad. Not set at all:
// the token has a PIN pad, or no PIN.
struct PinSource {
  std::optional<std::string> value;
  // A path of a regular file; one newline at its end is not part of the PIN.
  std::optional<std::string> file;
  std::shared_ptr<PinPrompt> prompt;
  // Whether the PIN may be tried when a wrong one would lock the token.
  bool allow_final_try = false;

  // "value", "file", "prompt" or "none".
  std::string_view kind() const;

  // The PIN of the token `uri`; nullopt when there is none, or none yet. Throws `pin_required` for
  // a file that cannot be read.
  std::optional<Pin> Take(std::string_view uri) const;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PIN_H_
