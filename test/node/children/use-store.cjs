// Opens a store with `options`, calls `method` with `params`, and prints the result.
const { DeviceKeyStore } = require('node-device-key');

const { options, method, params } = JSON.parse(process.argv[2]);

DeviceKeyStore.open(options)
  [method](params)
  .then(
    (result) => ({ result }),
    ({ code, message }) => ({ error: { code, message } }),
  )
  .then((report) => console.log(JSON.stringify(report)));
