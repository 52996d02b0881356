// The part of the Objective-C runtime that the Apple providers use, declared from its
// documentation.
#ifndef DEVICE_KEY_TEST_SUPPORT_APPLE_OBJC_RUNTIME_H_
#define DEVICE_KEY_TEST_SUPPORT_APPLE_OBJC_RUNTIME_H_

extern "C" {

using Class = struct objc_class*;
using id = struct objc_object*;

Class objc_getClass(const char* name);

}  // extern "C"

#endif  // DEVICE_KEY_TEST_SUPPORT_APPLE_OBJC_RUNTIME_H_
