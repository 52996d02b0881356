// The default directory of key records.
#ifndef DEVICE_KEY_PLATFORM_DATA_DIRECTORY_H_
#define DEVICE_KEY_PLATFORM_DATA_DIRECTORY_H_

#include <filesystem>

#include "platform/environment.h"

namespace device_key {

// The default store directory, absolute; it need not exist. `DEVICE_KEY_HOME` when set and not
// empty, else the user's data directory with `device-keys` appended: `$XDG_DATA_HOME` or
// `~/.local/share` on Linux, `~/Library/Application Support` on macOS. Throws `store_unwritable`
// when the user has no home directory. With Environment::None() the home directory is the one
// of the password database; on Windows there is none then, and this throws.
//
// Reads the environment: call it while no other thread changes that.
std::filesystem::path DefaultStoreDirectory(const Environment& environment = {});

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_DATA_DIRECTORY_H_
