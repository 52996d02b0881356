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

// A PIN in UTF-8, wiped from memory when it is no longer needed. It is not a std::string, whose
// moves copy short texts and leave the original behind.
class Pin {
 public:
  // At most `capacity` bytes, which `fill(bytes)` writes; it returns how many.
  template <class Fill>
  Pin(size_t capacity, Fill fill)
      : bytes_(std::make_unique<char[]>(capacity)), capacity_(capacity) {
    size_ = fill(bytes_.get());
  }
  explicit Pin(std::string_view text)
      : Pin(text.size(), [&](char* bytes) { return text.copy(bytes, text.size()); }) {}
  Pin(Pin&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin();

  std::string_view text() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t capacity_;
  size_t size_ = 0;
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
  // Whether the program answers the prompt with a PIN that it has, so that the PIN need not be kept
  // here. Counts as a value then, also for tokens with a PIN pad.
  bool prompt_has_value = false;
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
