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

// Asks a person for the PIN through JavaScript, which native threads must not wait for. An
// operation that needs the PIN leaves a question and fails with `pin_required`. JavaScript then
// answers the question and starts the operation again, which takes the answer. An answer is valid
// only for the token of its question: several operations may wait at once, and the PIN of another
// token would count as a wrong one. Thread-safe.
class PinPrompt {
 public:
  // `question["uri"]` names the token (TokenIdentity::Uri).
  void Ask(nlohmann::json question);
  // Returns the last question once; null when there is none.
  nlohmann::json TakeQuestion();

  // Answers the question that was taken last.
  void Answer(Pin pin);
  // Returns the last answer for the token `uri` once: a typed PIN is not kept.
  std::optional<Pin> TakeAnswer(std::string_view uri);

 private:
  std::mutex mutex_;
  nlohmann::json question_;
  std::string taken_uri_;                            // of the question that was taken last
  std::map<std::string, Pin, std::less<>> answers_;  // by the token's URI
};

// The first member that is set gives the PIN; the prompt is for tokens without a PIN pad. If none
// is set, the token has a PIN pad or no PIN.
struct PinSource {
  std::optional<std::string> value;
  // A path of a regular file; one newline at its end is not part of the PIN.
  std::optional<std::string> file;
  std::shared_ptr<PinPrompt> prompt;
  // Whether the program answers the prompt with a PIN that it has, so that native code need not
  // keep it. The prompt then counts as a value, also for tokens with a PIN pad.
  bool prompt_has_value = false;
  // Whether the PIN may be tried when a wrong one would lock the token.
  bool allow_final_try = false;

  // "value", "file", "prompt" or "none".
  std::string_view kind() const;

  // The PIN of the token `uri`; nullopt when there is none (yet). Throws `pin_required` for
  // a file that cannot be read.
  std::optional<Pin> Take(std::string_view uri) const;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PIN_H_
