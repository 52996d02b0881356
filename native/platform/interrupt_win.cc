#include "platform/interrupt.h"

namespace device_key {

// Windows' key stores have no handle to wait for, so a flag is enough.
Interrupt::Interrupt() = default;
Interrupt::~Interrupt() = default;

void Interrupt::Trigger() { triggered_.store(true, std::memory_order_release); }

}  // namespace device_key
