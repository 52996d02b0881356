#include <pthread.h>

#include "platform/thread_name.h"

namespace device_key {

void SetThisThreadName(const std::string& name) {
  const std::string cut = name.substr(0, 15);
#ifdef __APPLE__
  pthread_setname_np(cut.c_str());
#else
  pthread_setname_np(pthread_self(), cut.c_str());
#endif
}

}  // namespace device_key
