// The canary of -fstack-protector, and what happens when it was overwritten, in the prebuilt addons. zig's
// libssp would have the same canary in every process (lib/ssp.zig), so an attacker could write it.
// https://gcc.gnu.org/onlinedocs/gccint/Misc.html (TARGET_STACK_PROTECT_GUARD) names both symbols.
#include <cstdint>

#include <windows.h>
// After <windows.h>.
#include <ntsecapi.h>

extern "C" {
uintptr_t __stack_chk_guard;

// Ends the process at once, without handlers that the attacker may have replaced.
// https://learn.microsoft.com/cpp/intrinsics/fastfail
[[noreturn]] void __stack_chk_fail() {
#ifdef __aarch64__
  register uint64_t code asm("x0") = FAST_FAIL_STACK_COOKIE_CHECK_FAILURE;
  asm volatile("brk #0xf003" : : "r"(code));
#else
  asm volatile("int $0x29" : : "c"(FAST_FAIL_STACK_COOKIE_CHECK_FAILURE));
#endif
  __builtin_unreachable();
}
}

namespace {

// Before the constructors of the addon; priorities up to 100 are the C library's. This function has no canary
// itself, because the canary changes in it.
[[gnu::constructor(101)]] [[clang::no_stack_protector]] void ChooseCanary() {
  if (!RtlGenRandom(&__stack_chk_guard, sizeof __stack_chk_guard)) __stack_chk_fail();
}

}  // namespace
