#include "platform/dynamic_library.h"

#include <gtest/gtest.h>

#include "platform/expect_error.h"

namespace device_key {
namespace {

#ifdef __APPLE__
constexpr char kMathLibrary[] = "/usr/lib/libSystem.B.dylib";
#elif defined(_WIN32)
constexpr char kMathLibrary[] = "msvcrt.dll";
#else
constexpr char kMathLibrary[] = "libm.so.6";
#endif

TEST(DynamicLibraryTest, FindsFunctions) {
  const DynamicLibrary library = DynamicLibrary::Open(kMathLibrary);

  EXPECT_EQ(library.Symbol<double (*)(double)>("cos")(0.0), 1.0);
}

TEST(DynamicLibraryTest, SaysWhichLibraryIsMissing) {
  ExpectError(
      ErrorCode::kLibraryMissing, [] { DynamicLibrary::Open("libno-such-thing.so.0"); },
      "libno-such-thing.so.0");
}

TEST(DynamicLibraryTest, SaysWhichFunctionIsMissing) {
  const DynamicLibrary library = DynamicLibrary::Open(kMathLibrary);

  ExpectError(
      ErrorCode::kLibraryMissing, [&] { library.Symbol<void (*)()>("no_such_function"); },
      "no_such_function");
}

TEST(DynamicLibraryTest, KeepsFunctionsCallableAfterItsDestruction) {
  const auto cosine = DynamicLibrary::Open(kMathLibrary).Symbol<double (*)(double)>("cos");

  EXPECT_EQ(cosine(0.0), 1.0);
}

}  // namespace
}  // namespace device_key
