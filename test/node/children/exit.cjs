// Starts `count` signatures at once, and ends as `end` says.
const { DeviceKeyStore } = require('node-device-key');

const { options, params, count, end } = JSON.parse(process.argv[2]);
const store = DeviceKeyStore.open(options);
let signed = 0;
const errors = [];

const ends = {
  // Nothing: Node.js ends the process when nothing is pending.
  'of itself': () => undefined,
  'process.exit': () => process.exit(7),
  'process.exit at the first result': () => signed === 1 && process.exit(7),
  'an uncaught exception': () => {
    throw new Error('thrown by the application');
  },
  'an unhandled rejection': () => void Promise.reject(new Error('rejected by the application')),
  'process.exit at SIGUSR2': () => {
    process.on('SIGUSR2', () => process.exit(7));
    setInterval(() => undefined, 1000);
    void Promise.all(signing).then(() => console.log('"ready"'));
  },
  'waiting for a signal': () => {
    console.log('"ready"');
    setInterval(() => undefined, 1000);
  },
};

const signing = Array.from({ length: count }, () =>
  store.sign(params).then(
    () => {
      signed += 1;
      if (end.endsWith('at the first result')) ends[end]();
    },
    (error) => errors.push(`${error.code}: ${error.message}`),
  ),
);
process.on('exit', () => end === 'of itself' && console.log(JSON.stringify({ signed, errors })));
if (count === 0 || !end.endsWith('at the first result')) ends[end]();
