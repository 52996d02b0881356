// Runs the package's own files in a vm context, like test runners and plug-in hosts.
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const { options, params } = JSON.parse(process.argv[2]);
const dist = path.dirname(require.resolve('node-device-key'));
const context = vm.createContext({ process, AbortController });
const modules = new Map();

function load(file) {
  if (modules.has(file)) return modules.get(file).exports;
  const module = { exports: {} };
  modules.set(file, module);
  const directory = path.dirname(file);
  const requireFrom = (name) => {
    if (!name.startsWith('.')) return require(name);
    const target = path.join(directory, name);
    return path.extname(target) ? require(target) : load(`${target}.js`);
  };
  vm.compileFunction(
    fs.readFileSync(file, 'utf8'),
    ['module', 'exports', 'require', '__dirname', '__filename'],
    { parsingContext: context, filename: file },
  )(module, module.exports, requireFrom, directory, file);
  return module.exports;
}

async function main() {
  const { DeviceKeyError, DeviceKeyStore } = load(path.join(dist, 'index.js'));
  const store = DeviceKeyStore.open(options);
  const proof = await store.sign(params, { signal: new AbortController().signal });
  const error = await store.sign(vm.runInContext('({})', context)).catch((reason) => reason);
  console.log(
    JSON.stringify({
      algorithm: proof.algorithm,
      isDeviceKeyError: error instanceof DeviceKeyError,
      isForeign: !(error instanceof Error),
    }),
  );
}

main();
