// How long an operation may take.
#ifndef DEVICE_KEY_PLATFORM_OPERATION_LIMITS_H_
#define DEVICE_KEY_PLATFORM_OPERATION_LIMITS_H_

#include <chrono>

#include "platform/interrupt.h"

namespace device_key {

// The time limit of one operation, and the interrupt that ends it early.
struct OperationLimits {
  std::chrono::steady_clock::time_point deadline;
  const Interrupt* interrupt = nullptr;  // may be null; outlives the call
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_OPERATION_LIMITS_H_
