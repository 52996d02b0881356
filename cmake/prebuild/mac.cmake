# Links the prebuilt addon for macOS, with our own descriptions of the system's headers and libraries.
# zig's own linker for macOS cannot hide the symbols of static libraries (OpenSSL's assembly, operator
# new), so Debian's LLVM links. The C++ library is zig's, because Apple's differs between
# versions of macOS.
set(stand_in ${CMAKE_SOURCE_DIR}/test/support/apple)
target_include_directories(addon PRIVATE ${stand_in}/include)
zig_runtime(.dylib runtime)

llvm_program(ld64.lld linker)
llvm_program(llvm-strip strip)

# The host has the functions of Node-API, so they are looked up in the whole process. Every other symbol
# must be in a library, so that a misspelt one fails here. (Apple's linker would need -undefined
# dynamic_lookup.)
execute_process(
  COMMAND node -e "
    const { js_native_api_symbols, node_api_symbols } = require('node-api-headers').symbols.v8;
    const names = [...js_native_api_symbols, ...node_api_symbols];
    process.stdout.write(names.map((name) => `-U _\${name}`).join(' '));"
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
  OUTPUT_VARIABLE node_api COMMAND_ERROR_IS_FATAL ANY)

set(arch_x86_64 x86_64)
set(arch_aarch64 arm64)
# An arm64 Mac loads only code with at least an ad-hoc signature. llvm-strip renews it.
string(JOIN " " link
  ${linker} -arch ${arch_${CMAKE_SYSTEM_PROCESSOR}} -platform_version macos 11.0 11.0
  -bundle -o <TARGET> -dead_strip -S -adhoc_codesign
  -exported_symbol _napi_register_module_v1 -exported_symbol _node_api_module_get_api_version_v1
  ${node_api} <OBJECTS> ${DEVICE_KEY_OPENSSL}/lib/libcrypto.a ${runtime}
  ${DEVICE_KEY_ZIG}/lib/libc/darwin/libSystem.tbd
  ${stand_in}/stubs/Security.tbd ${stand_in}/stubs/CoreFoundation.tbd ${stand_in}/stubs/libobjc.tbd)
string(JOIN " " strip ${strip} --discard-all <TARGET>)
set(CMAKE_CXX_CREATE_SHARED_MODULE ${link} ${strip})

# Must not link: scripts/test-macos shows that a misspelt function is found.
add_library(misspelt MODULE EXCLUDE_FROM_ALL ${stand_in}/misspelt.cc)
target_include_directories(misspelt PRIVATE ${stand_in}/include)
