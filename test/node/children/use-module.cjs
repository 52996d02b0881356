// Calls the module function `call` with `params`, and prints the result.
const deviceKeys = require('node-device-key');

const { call, params } = JSON.parse(process.argv[2]);

deviceKeys[call](params)
  .then(
    (result) => ({ result }),
    ({ code, message }) => ({ error: { code, message } }),
  )
  .then((report) => console.log(JSON.stringify(report)));
