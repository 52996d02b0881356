// Imports the package without using it.
const fs = require('node:fs');

const threads = () => fs.readdirSync('/proc/self/task').length;
const before = threads();
require('node-device-key');
console.log(
  JSON.stringify({
    addonLoaded: fs.readFileSync('/proc/self/maps', 'utf8').includes('device_key.node'),
    newThreads: threads() - before,
    cryptoLoaded: process.moduleLoadList.includes('NativeModule crypto'),
  }),
);
