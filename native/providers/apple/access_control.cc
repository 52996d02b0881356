#include "providers/apple/access_control.h"

#include "providers/apple/apple_status.h"

namespace device_key {

ScopedCf<SecAccessControlRef> AccessControl(SecAccessControlCreateFlags flags) {
  CfErrorSlot error;
  ScopedCf<SecAccessControlRef> control(SecAccessControlCreateWithFlags(
      kCFAllocatorDefault, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, flags,
      error.receive()));
  if (!control) throw AppleError("describe the key's access control", error.get());
  return control;
}

}  // namespace device_key
