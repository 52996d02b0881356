// Names threads, so that debuggers and `top -H` show which ones are ours.
#ifndef DEVICE_KEY_PLATFORM_THREAD_NAME_H_
#define DEVICE_KEY_PLATFORM_THREAD_NAME_H_

#include <string>

namespace device_key {

// Names the calling thread. Names are cut to 15 characters, the limit on Linux.
void SetThisThreadName(const std::string& name);

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_THREAD_NAME_H_
