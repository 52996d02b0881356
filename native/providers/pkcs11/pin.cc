#include "providers/pkcs11/pin.h"

namespace device_key {

Pin::~Pin() {
  // Volatile, because the compiler may remove writes that nothing reads.
  volatile char* bytes = bytes_.get();
  for (size_t i = 0; i < capacity_; ++i) bytes[i] = 0;
}

void PinPrompt::Ask(nlohmann::json question) {
  const std::lock_guard lock(mutex_);
  question_ = std::move(question);
}

nlohmann::json PinPrompt::TakeQuestion() {
  const std::lock_guard lock(mutex_);
  if (question_.is_null()) return nullptr;
  taken_uri_ = question_["uri"].get<std::string>();
  return std::exchange(question_, nullptr);
}

void PinPrompt::Answer(Pin pin) {
  const std::lock_guard lock(mutex_);
  answers_.erase(taken_uri_);
  // The answer also serves an operation that has asked in the meantime.
  if (!question_.is_null() && question_["uri"] == taken_uri_) question_ = nullptr;
  answers_.emplace(taken_uri_, std::move(pin));
}

std::optional<Pin> PinPrompt::TakeAnswer(std::string_view uri) {
  const std::lock_guard lock(mutex_);
  const auto answer = answers_.find(uri);
  if (answer == answers_.end()) return std::nullopt;
  std::optional<Pin> pin(std::move(answer->second));
  answers_.erase(answer);
  return pin;
}

}  // namespace device_key
