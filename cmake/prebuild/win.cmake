# Links the prebuilt addon for Windows.
#
# node.exe and bcrypt.dll are delay-loaded, so that delay_load_win.cc can map "node.exe" to the host
# executable, and load bcrypt.dll (OpenSSL's randomness) from System32.
target_sources(addon PRIVATE native/addon/delay_load_win.cc cmake/prebuild/win_delay_load.cc
  cmake/prebuild/win_stack_guard.cc)
set_source_files_properties(cmake/prebuild/win_delay_load.cc PROPERTIES
  COMPILE_OPTIONS "-isystem;${DEVICE_KEY_ZIG}/lib/libc/mingw/misc;-Wno-everything")
# The one part of zig's C++ library that has the path of its source in it.
set(libcxx ${DEVICE_KEY_ZIG}/lib/libcxx/src)
target_sources(addon PRIVATE ${libcxx}/filesystem/operations.cpp)
set_source_files_properties(${libcxx}/filesystem/operations.cpp PROPERTIES
  COMPILE_OPTIONS "-I${libcxx};-D_LIBCPP_BUILDING_LIBRARY;-Wno-everything")
zig_runtime(.dll runtime -ladvapi32 -lbcrypt -lcrypt32 -luser32 -lws2_32)
# zig's unwinding library asks the linker to export its functions.
string(REGEX MATCH "[^ ]+/unwind\\.lib" unwind "${runtime}")
string(REPLACE ${unwind} ${CMAKE_BINARY_DIR}/unwind.lib runtime "${runtime}")
llvm_program(llvm-objcopy objcopy)
execute_process(COMMAND ${objcopy} --remove-section .drectve ${unwind} ${CMAKE_BINARY_DIR}/unwind.lib
  COMMAND_ERROR_IS_FATAL ANY)

set(machine_x86_64 x64)
set(machine_aarch64 arm64)
set(dlltool_x86_64 i386:x86-64)
set(dlltool_aarch64 arm64)
execute_process(COMMAND node -p "require('node-api-headers').def_paths.node_api_def"
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
  OUTPUT_VARIABLE node_api OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(node_exe ${CMAKE_BINARY_DIR}/node_exe.lib)
add_custom_command(OUTPUT ${node_exe}
  COMMAND ${DEVICE_KEY_ZIG}/zig dlltool -m ${dlltool_${CMAKE_SYSTEM_PROCESSOR}}
    -d ${node_api} -D node.exe -l ${node_exe}
  DEPENDS ${node_api} VERBATIM)
add_custom_target(node_exe DEPENDS ${node_exe})
add_dependencies(addon node_exe)

# The first lines are what zig passes. No time stamp: two builds of one source are the same file.
string(JOIN " " CMAKE_CXX_CREATE_SHARED_MODULE
  ${DEVICE_KEY_ZIG}/zig lld-link -nologo -lldmingw -machine:${machine_${CMAKE_SYSTEM_PROCESSOR}}
  -include:_tls_index -alternatename:__image_base__=__ImageBase
  -alternatename:_DllMainCRTStartup=DllMainCRTStartup -dll -out:<TARGET> -implib:${CMAKE_BINARY_DIR}/unused.lib
  -export:napi_register_module_v1 -export:node_api_module_get_api_version_v1
  -delayload:node.exe -delayload:bcrypt.dll -opt:ref -opt:icf -timestamp:0
  -dynamicbase -nxcompat -highentropyva
  <OBJECTS> ${node_exe} ${DEVICE_KEY_OPENSSL}/lib/libcrypto.a ${runtime})
