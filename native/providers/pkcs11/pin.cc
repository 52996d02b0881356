#include "providers/pkcs11/pin.h"

#include <cerrno>
#include <fstream>
#include <system_error>

#include "platform/error.h"

namespace device_key {
namespace {

constexpr size_t kMaxPinBytes = 1024;

[[noreturn]] void ThrowUnusable(const std::string& file, const std::string& reason) {
  throw DeviceKeyError(ErrorCode::kPinRequired,
                       "the PIN file " + file + " cannot be used: " + reason);
}

Pin ReadPinFile(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) ThrowUnusable(file, std::generic_category().message(errno));
  std::string text(kMaxPinBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  Pin pin(std::move(text));
  if (pin.text().empty()) ThrowUnusable(file, "it is empty");
  if (pin.text().size() > kMaxPinBytes) ThrowUnusable(file, "it is too long for a PIN");
  return pin;
}

}  // namespace

void Pin::Wipe() {
  // Volatile, so that the compiler does not leave it out as a write that nobody reads.
  volatile char* bytes = text_.data();
  for (size_t i = 0; i < text_.capacity(); ++i) bytes[i] = 0;
  text_.clear();
}

void PinPrompt::Ask(nlohmann::json question) {
  const std::lock_guard lock(mutex_);
  question_ = std::move(question);
}

nlohmann::json PinPrompt::TakeQuestion() {
  const std::lock_guard lock(mutex_);
  return std::exchange(question_, nullptr);
}

void PinPrompt::Answer(std::string pin) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(pin);
}

std::optional<Pin> PinPrompt::TakeAnswer() {
  const std::lock_guard lock(mutex_);
  if (!answer_) return std::nullopt;
  std::optional<Pin> pin(std::in_place, *std::move(answer_));
  answer_.reset();
  return pin;
}

std::string_view PinSource::kind() const {
  if (value) return "value";
  if (file) return "file";
  return prompt != nullptr ? "prompt" : "none";
}

std::optional<Pin> PinSource::Take() const {
  if (value) return std::optional<Pin>(std::in_place, *value);
  if (file) return ReadPinFile(*file);
  if (prompt != nullptr) return prompt->TakeAnswer();
  return std::nullopt;
}

}  // namespace device_key
