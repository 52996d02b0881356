# The addon for Windows, compiled with mingw-w64, as device_key.node. -DNODE_ADDON_API and
# -DNODE_API_HEADERS name the directories of the two npm packages.

# Delay-loaded, so that the hook maps "node.exe" to the host executable and loads bcrypt.dll (OpenSSL's
# randomness) from System32.
set(delay_imports)
macro(delay_import dll definitions library)
  add_custom_command(OUTPUT ${library}
    COMMAND ${CMAKE_DLLTOOL} -d ${definitions} -D ${dll} -y ${library}
    DEPENDS ${definitions} VERBATIM)
  list(APPEND delay_imports ${CMAKE_BINARY_DIR}/${library})
endmacro()
delay_import(node.exe ${NODE_API_HEADERS}/def/node_api.def libnode_delayed.a)
file(WRITE ${CMAKE_BINARY_DIR}/bcrypt.def "LIBRARY bcrypt.dll\nEXPORTS\nBCryptGenRandom\n")
delay_import(bcrypt.dll ${CMAKE_BINARY_DIR}/bcrypt.def libbcrypt_delayed.a)

add_library(addon MODULE ${addon_sources} native/addon/delay_load_win.cc ${delay_imports})
set_target_properties(addon PROPERTIES PREFIX "" OUTPUT_NAME device_key SUFFIX .node
  LINK_DEPENDS "${delay_imports}")
target_include_directories(addon SYSTEM PRIVATE ${NODE_ADDON_API} ${NODE_API_HEADERS}/include)
target_compile_definitions(addon PRIVATE ${addon_definitions})
# Hardening: canaries on the stack and checked copies. scripts/test-windows looks at the result. Whatever
# links the core needs GCC's libssp.
foreach(target device_key addon)
  target_compile_options(${target} PRIVATE
    -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endforeach()
target_link_options(device_key INTERFACE -fstack-protector-strong)
target_link_options(addon PRIVATE -Wl,--dynamicbase -Wl,--nxcompat -Wl,--high-entropy-va)
# No time stamp: two builds of one source are the same file.
target_link_options(addon PRIVATE -Wl,--gc-sections -Wl,--no-insert-timestamp -s)
target_link_libraries(addon PRIVATE device_key ${delay_imports} delayimp)

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
