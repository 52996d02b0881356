# node-gyp needs this file beside the headers of an installed Node.js. It is all that an addon needs
# that only uses Node-API. scripts/build-native.mjs passes this folder as the place of Node.js
# (--nodedir), so nothing is downloaded. The headers are from the npm package node-api-headers
# (scripts/native-build.js).
{
  "target_defaults": {
    "default_configuration": "Release",
    "configurations": {"Debug": {}, "Release": {}},
    "cflags": ["-pthread", "-fPIC"],
    "ldflags": ["-pthread"]
  }
}
