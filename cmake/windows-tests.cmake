# For the tests under Wine, in a cross-compilation with mingw-w64.

# Hardening, as in the addon: canaries on the stack and checked copies. Whatever links the core needs
# GCC's libssp.
target_compile_options(device_key PRIVATE
  -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
target_link_options(device_key INTERFACE -fstack-protector-strong)

# The stand-ins for DLLs of Windows in the tests under Wine: in stand_in/, and in planted/ with a marker
# that shows when they are loaded.
add_custom_target(stand_ins)
function(stand_in directory dll)
  set(target ${directory}_${dll})
  add_library(${target} MODULE EXCLUDE_FROM_ALL ${ARGN})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${dll} SUFFIX .dll
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${directory})
  target_link_libraries(${target} PRIVATE bcrypt)
  target_link_options(${target} PRIVATE -Wl,--kill-at)
  add_dependencies(stand_ins ${target})
endfunction()
set(support test/support/windows)
stand_in(stand_in bcryptprimitives ${support}/bcryptprimitives.cc)
foreach(dll ncrypt tbs)
  stand_in(stand_in ${dll} ${support}/stand_in_${dll}.cc)
  stand_in(planted ${dll} ${support}/stand_in_${dll}.cc ${support}/planted.cc)
  target_compile_definitions(planted_${dll} PRIVATE PLANTED)
endforeach()
