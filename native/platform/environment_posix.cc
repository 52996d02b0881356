#include <cstdlib>

#include "platform/environment.h"
#if defined(__APPLE__)
#include <unistd.h>
#endif

namespace device_key {
namespace {

// secure_getenv(3) of glibc and musl asks the kernel's AT_SECURE, as the dynamic loader does before
// it obeys LD_PRELOAD. It covers file capabilities, which user and group ids do not show.
const char* Variable(const char* name) {
#if defined(__APPLE__)
  return issetugid() != 0 ? nullptr : std::getenv(name);
#else
  return secure_getenv(name);
#endif
}

}  // namespace

std::optional<std::string> Environment::Get(const char* name) const {
  const char* value = empty_ ? nullptr : Variable(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace device_key
