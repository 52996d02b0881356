{
  "targets": [
    {
      "target_name": "device_key",
      "sources": ["<!@(node scripts/native-build.js sources <(OS))"],
      "include_dirs": ["native", "<!@(node scripts/native-build.js include_dirs)"],
      "defines": [
        "NDEBUG",
        "NAPI_VERSION=8",
        "NAPI_CPP_EXCEPTIONS",
        # A failed call in a worker that is being terminated cannot be thrown; without this,
        # node-addon-api ends the process over it.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
        "NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED"
      ],
      # Node.js asks for -O3. This makes the stripped addon 3 % smaller: sections, so that --gc-sections
      # finds what to leave out.
      "cflags!": ["-O3"],
      "cflags": ["-O2", "-ffunction-sections", "-fdata-sections"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=c++20", "-fexceptions", "-frtti", "-fvisibility=hidden", "-Wall", "-Wextra"],
      "conditions": [
        ["OS=='linux'", {
          "ldflags": [
            "-Wl,--version-script=<(module_root_dir)/native/addon/exports.map",
            "-Wl,--exclude-libs,ALL",
            "-Wl,--gc-sections",
            "-Wl,-z,nodelete",
            "-Wl,-z,relro,-z,now"
          ],
          "libraries": ["-l:libcrypto.a", "-ldl", "-lpthread"]
        }]
      ]
    }
  ]
}
