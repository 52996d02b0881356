// Not in pin.cc, which Windows needs too: it has the settings of PKCS#11 but no tokens.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "platform/error.h"
#include "platform/unique_fd.h"
#include "providers/pkcs11/pin.h"

namespace device_key {
namespace {

constexpr size_t kMaxPinBytes = 1024;

[[noreturn]] void ThrowUnusable(const std::string& file, const std::string& reason) {
  throw DeviceKeyError(ErrorCode::kPinRequired,
                       "the PIN file " + file + " cannot be used: " + reason);
}

std::string LastSystemError() { return std::generic_category().message(errno); }

Pin ReadPinFile(const std::string& file) {
  // Non-blocking, and only regular files: a pipe without a writer would block the thread that
  // all users of the module share.
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) ThrowUnusable(file, LastSystemError());
  if (!S_ISREG(status.st_mode)) ThrowUnusable(file, "it is not a regular file");
  Pin pin(kMaxPinBytes + 2, [&](char* bytes) {
    const ssize_t size = read(fd.get(), bytes, kMaxPinBytes + 2);
    if (size < 0) ThrowUnusable(file, LastSystemError());
    std::string_view text(bytes, static_cast<size_t>(size));
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text.size();
  });
  if (pin.text().empty()) ThrowUnusable(file, "it is empty");
  if (pin.text().size() > kMaxPinBytes) ThrowUnusable(file, "it is too long for a PIN");
  return pin;
}

}  // namespace

std::string_view PinSource::kind() const {
  if (value) return "value";
  if (file) return "file";
  if (prompt != nullptr) return prompt_has_value ? "value" : "prompt";
  return "none";
}

std::optional<Pin> PinSource::Take(std::string_view uri) const {
  if (value) return std::optional<Pin>(std::in_place, *value);
  if (file) return ReadPinFile(*file);
  if (prompt != nullptr) return prompt->TakeAnswer(uri);
  return std::nullopt;
}

}  // namespace device_key
