{
  "targets": [
    {
      "target_name": "device_key",
      "sources": ["<!@(node scripts/native-build.js sources <(OS))"],
      # Before Node.js's own headers, which have another OpenSSL among them.
      "include_dirs+": ["native", "<!@(node scripts/native-build.js include_dirs <(OS) <(target_arch))"],
      "defines": ["<!@(node scripts/native-build.js definitions <(OS))"],
      # Node.js asks for -O3. This makes the stripped addon 4 % smaller; so does not filling up to
      # multiples of 16 bytes.
      "cflags!": ["-O3"],
      "cflags": ["-O2", "-fno-align-functions", "-fno-align-loops", "-fno-align-jumps",
                 "<!@(node scripts/native-build.js options <(OS) <(target_arch))"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-fexceptions", "-frtti"],
      "conditions": [
        ["OS=='linux'", {
          "ldflags": [
            "-Wl,--version-script=<(module_root_dir)/native/addon/exports.map",
            "-Wl,--exclude-libs,ALL",
            "-Wl,--gc-sections",
            "-Wl,-z,nodelete",
            "-Wl,-z,relro,-z,now",
            "-Wl,-z,noexecstack"
          ],
          "libraries": ["-l:libcrypto.a", "-ldl", "-lpthread"]
        }],
        # Written for MSVC; not run yet (docs/windows.md). node-gyp's own delay-load hook maps node.exe
        # to the host.
        ["OS=='win'", {
          # Under it, MSVC's std::exception keeps the pointer that it was given, not the text.
          "defines!": ["_HAS_EXCEPTIONS=0"],
          "libraries": [
            "-l<!(node scripts/native-build.js libcrypto <(OS) <(target_arch))",
            "-ladvapi32.lib", "-lbcrypt.lib", "-lcrypt32.lib", "-luser32.lib", "-lws2_32.lib"
          ],
          "msvs_settings": {
            "VCCLCompilerTool": {
              "ExceptionHandling": 1,
              "AdditionalOptions!": ["-std:c++17"],
              "AdditionalOptions": ["/std:c++20", "/utf-8", "/guard:cf"]
            },
            "VCLinkerTool": {
              # System32 alone for what is imported, like the LoadLibraryExW calls.
              "AdditionalOptions": ["/DEPENDENTLOADFLAG:0x800", "/guard:cf"]
            }
          },
          # Node.js sets these for each configuration, which wins over what a target says.
          "configurations": {
            "Release": {
              "msvs_settings": {"VCCLCompilerTool": {"RuntimeLibrary": 0, "RuntimeTypeInfo": "true"}}
            }
          }
        }],
        # Written for Xcode's command line tools, and not yet run on a Mac (docs/macos.md).
        ["OS=='mac'", {
          "xcode_settings": {
            "MACOSX_DEPLOYMENT_TARGET": "11.0",
            "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
            "CLANG_CXX_LIBRARY": "libc++",
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "GCC_ENABLE_CPP_RTTI": "YES",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "DEAD_CODE_STRIPPING": "YES",
            "OTHER_CFLAGS": ["<!@(node scripts/native-build.js options <(OS) <(target_arch))"],
            "OTHER_LDFLAGS": [
              "-Wl,-exported_symbol,_napi_register_module_v1",
              "-Wl,-exported_symbol,_node_api_module_get_api_version_v1"
            ]
          },
          "libraries": [
            "<!@(node scripts/native-build.js libcrypto <(OS) <(target_arch))",
            "-framework Security",
            "-framework CoreFoundation",
            "-lobjc"
          ]
        }]
      ]
    }
  ]
}
