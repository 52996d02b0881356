// Calls a function that Security.framework does not have, by a name that looks right.
// scripts/test-macos shows that the link of the prebuilt addon finds it.
#include <Security/Security.h>

extern "C" OSStatus SecItemDeleteMisspelt(CFDictionaryRef query);

extern "C" OSStatus napi_register_module_v1() { return SecItemDeleteMisspelt(nullptr); }
