#include "platform/interrupt.h"

namespace device_key {

// A flag is enough, because Windows' key stores have no handle to wait for.
Interrupt::Interrupt() = default;
Interrupt::~Interrupt() = default;

void Interrupt::Trigger() { triggered_.store(true, std::memory_order_release); }

}  // namespace device_key
