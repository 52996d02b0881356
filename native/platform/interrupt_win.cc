#include "platform/interrupt.h"

namespace device_key {

// No Windows key store offers anything to wait for beside it, so there is nothing but the flag.
Interrupt::Interrupt() = default;
Interrupt::~Interrupt() = default;

void Interrupt::Trigger() { triggered_.store(true, std::memory_order_release); }

}  // namespace device_key
