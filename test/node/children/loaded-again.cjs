// Loads the package `times` times in one thread, and uses every copy.
const { options, params, times } = JSON.parse(process.argv[2]);

async function main() {
  const stores = [];
  for (let i = 0; i < times; i += 1) {
    for (const file of Object.keys(require.cache)) delete require.cache[file];
    stores.push(require('node-device-key').DeviceKeyStore.open(options));
  }
  const proofs = await Promise.all(stores.map((store) => store.sign(params)));
  await Promise.all(stores.map((store) => store.close()));
  console.log(
    JSON.stringify({
      copies: new Set(stores.map((s) => s.constructor)).size,
      signed: proofs.length,
    }),
  );
}

main();
