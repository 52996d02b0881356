// The default directory of key records.
#ifndef DEVICE_KEY_PLATFORM_DATA_DIRECTORY_H_
#define DEVICE_KEY_PLATFORM_DATA_DIRECTORY_H_

#include <filesystem>

#include "platform/environment.h"

namespace device_key {

// The default store directory, absolute; it need not exist. `DEVICE_KEY_HOME` when set and not
// The absolute path of the default store directory, which may not exist. DEVICE_KEY_HOME if it is
// set and not empty, else `device-keys` in the user's data directory: `$XDG_DATA_HOME` or
// `~/.local/share` on Linux, `~/Library/Application Support` on macOS. Throws `store_unwritable`
// when the user has no home directory. With Environment::None() the home directory comes from the
// password database; on Windows this throws, because there is none.
//
// Reads the environment: no other thread may change it meanwhile.
std::filesystem::path DefaultStoreDirectory(const Environment& environment = {});

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_DATA_DIRECTORY_H_
