# Links the prebuilt addon for Linux.
if(DEVICE_KEY_TARGET MATCHES "-glibc$")
  target_sources(addon PRIVATE cmake/prebuild/glibc_stat.cc)
endif()
zig_runtime(.so runtime)

set(emulation_x86_64 elf_x86_64)
set(emulation_aarch64 aarch64linux)
string(JOIN " " CMAKE_CXX_CREATE_SHARED_MODULE
  ${DEVICE_KEY_ZIG}/zig ld.lld -m ${emulation_${CMAKE_SYSTEM_PROCESSOR}}
  -shared -o <TARGET> --version-script=${CMAKE_SOURCE_DIR}/native/addon/exports.map
  --build-id=none --strip-all --gc-sections --icf=safe --as-needed --eh-frame-hdr --hash-style=gnu
  -z relro -z now -z noexecstack -z nodelete
  <OBJECTS> --start-group ${DEVICE_KEY_OPENSSL}/lib/libcrypto.a ${runtime} --end-group)
