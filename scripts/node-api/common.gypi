# What node-gyp takes from the headers of an installed Node.js besides the headers themselves. An
# addon that uses Node-API alone needs no more than this, so scripts/build-native.mjs names this folder
# as the place of Node.js (--nodedir), and nothing is downloaded. The headers are those of the npm
# package node-api-headers (scripts/native-build.js).
{
  "target_defaults": {
    "default_configuration": "Release",
    "configurations": {"Debug": {}, "Release": {}},
    "cflags": ["-pthread", "-fPIC"],
    "ldflags": ["-pthread"]
  }
}
