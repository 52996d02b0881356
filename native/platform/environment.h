// The environment variables of this process. All native code reads them here.
#ifndef DEVICE_KEY_PLATFORM_ENVIRONMENT_H_
#define DEVICE_KEY_PLATFORM_ENVIRONMENT_H_

#include <optional>
#include <string>

namespace device_key {

// A source for settings that were not given in code. It is empty in a process with more privileges
// than the user who started it (set-user-ID, set-group-ID, file capabilities): variables name
// libraries to load and files to read, and that user must not choose them. Thread-safe as long as
// no native code changes the environment at the same time.
class Environment {
 public:
  // The variables of this process.
  Environment() = default;

  // No variables at all.
  static Environment None() { return Environment(/*empty=*/true); }

  // The value of `name`, in UTF-8 on Windows; nullopt when it is not set or empty.
  std::optional<std::string> Get(const char* name) const;

 private:
  explicit Environment(bool empty) : empty_(empty) {}

  bool empty_ = false;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ENVIRONMENT_H_
