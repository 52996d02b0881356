#include "providers/pkcs11/pin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "platform/error.h"
#include "platform/unique_fd.h"

namespace device_key {
namespace {

constexpr size_t kMaxPinBytes = 1024;

[[noreturn]] void ThrowUnusable(const std::string& file, const std::string& reason) {
  throw DeviceKeyError(ErrorCode::kPinRequired,
                       "the PIN file " + file + " cannot be used: " + reason);
}

std::string LastSystemError() { return std::generic_category().message(errno); }

Pin ReadPinFile(const std::string& file) {
  // Not blocking, and regular files alone: a pipe that nobody writes to would keep the thread that
  // all users of the module share.
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) ThrowUnusable(file, LastSystemError());
  if (!S_ISREG(status.st_mode)) ThrowUnusable(file, "it is not a regular file");
  std::string text(kMaxPinBytes + 1, '\0');
  const ssize_t size = read(fd.get(), text.data(), text.size());
  if (size < 0) ThrowUnusable(file, LastSystemError());
  text.resize(static_cast<size_t>(size));
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
  if (question_.is_null()) return nullptr;
  taken_uri_ = question_["uri"].get<std::string>();
  return std::exchange(question_, nullptr);
}

void PinPrompt::Answer(Pin pin) {
  const std::lock_guard lock(mutex_);
  answers_.erase(taken_uri_);
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

std::string_view PinSource::kind() const {
  if (value) return "value";
  if (file) return "file";
  return prompt != nullptr ? "prompt" : "none";
}

std::optional<Pin> PinSource::Take(std::string_view uri) const {
  if (value) return std::optional<Pin>(std::in_place, *value);
  if (file) return ReadPinFile(*file);
  if (prompt != nullptr) return prompt->TakeAnswer(uri);
  return std::nullopt;
}

}  // namespace device_key
