# The addon of the published package for one target of cmake/toolchains/targets.json, as
# device_key.node. scripts/prebuild.mjs passes:
#   DEVICE_KEY_OPENSSL  what scripts/prebuild/openssl printed
#   DEVICE_KEY_INCLUDE  the directories of the header-only libraries, as a list
add_library(addon MODULE ${addon_sources} ${native_sources} cmake/prebuild/no_demangler.cc)
set_target_properties(addon PROPERTIES PREFIX "" OUTPUT_NAME device_key SUFFIX .node)
if(native_os STREQUAL linux)
  compile_by_room(addon ${addon_sources} ${native_sources})
else()
  lines_for(native/sources.txt portable_sources all)
  compile_by_room(addon ${portable_sources})
endif()
target_include_directories(addon PRIVATE native)
target_include_directories(addon SYSTEM PRIVATE ${DEVICE_KEY_INCLUDE} ${DEVICE_KEY_OPENSSL}/include)

string(REGEX REPLACE "^[a-z0-9]+-([a-z0-9]+).*" "\\1" processor ${DEVICE_KEY_TARGET})
lines_for(native/options.txt options all ${native_os}-${processor})
target_compile_definitions(addon PRIVATE ${addon_definitions})
# -Os: what takes time is the hardware and OpenSSL's assembly. Paths of the build machine must not get
# into the file.
target_compile_options(addon PRIVATE -Os ${options} "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")

# zig_runtime(SUFFIX RESULT [OPTION...]): the C and C++ libraries of the target, which zig compiles when
# they are first asked for. Only its log of what it links says where they are.
function(zig_runtime suffix result)
  if(NOT DEFINED CACHE{DEVICE_KEY_RUNTIME})
    string(RANDOM LENGTH 16 unique) # or zig links nothing, since it has linked the same before
    file(WRITE ${CMAKE_BINARY_DIR}/runtime.cc "int f_${unique}() { throw new int; }\n")
    execute_process(
      COMMAND ${CMAKE_COMMAND} -E env ZIG_VERBOSE_LINK=1 ${DEVICE_KEY_ZIG}/zig c++
        -target ${DEVICE_KEY_ZIG_TARGET} -shared -Os -s -fstack-protector-strong runtime.cc
        -o runtime${suffix} ${ARGN}
      WORKING_DIRECTORY ${CMAKE_BINARY_DIR}
      ERROR_VARIABLE log COMMAND_ERROR_IS_FATAL ANY)
    file(WRITE ${CMAKE_BINARY_DIR}/runtime.log "${log}")
    string(STRIP "${log}" log)
    string(REGEX REPLACE ".*\n" "" log "${log}") # the last line
    string(REGEX MATCHALL "/[^ ]+/o/[^ ]+\\.(a|lib|obj|so|so\\.[0-9]+)( |$)" runtime "${log} ")
    list(TRANSFORM runtime STRIP)
    list(FILTER runtime EXCLUDE REGEX "/runtime\\.") # our own
    set(DEVICE_KEY_RUNTIME "${runtime}" CACHE INTERNAL "The libraries of the target")
  endif()
  list(JOIN DEVICE_KEY_RUNTIME " " runtime)
  set(${result} "${runtime}" PARENT_SCOPE)
endfunction()

# llvm_program(PROGRAM RESULT): the command of a program of scripts/prebuild/linker.
function(llvm_program program result)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/prebuild/linker
    OUTPUT_VARIABLE llvm OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${result} ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${llvm}/../lib ${llvm}/${program} PARENT_SCOPE)
endfunction()

# Sets CMAKE_CXX_CREATE_SHARED_MODULE, the command that links.
include(cmake/prebuild/${native_os}.cmake)
