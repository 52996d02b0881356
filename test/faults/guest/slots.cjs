// Occupies the TPM's slots as a program does that uses /dev/tpm0, without a resource manager. An object
// that was loaded there stays loaded until it is flushed there.
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');

const run = promisify(execFile);
const env = { ...process.env, TPM2TOOLS_TCTI: 'device:/dev/tpm0' };

// Returns how many slots it has taken.
async function takeSlots() {
  let taken = 0;
  try {
    for (; taken < 8; ++taken) {
      await run('tpm2_createprimary', ['-Q', '-c', '/tmp/taken.ctx'], { env });
    }
  } catch {
    // No slot is free.
  }
  return taken;
}

async function freeSlots() {
  await run('tpm2_flushcontext', ['-Q', '--transient-object'], { env });
}

// The handles of the objects that are loaded, a line for each; '' if there are none.
async function loadedObjects() {
  return (await run('tpm2_getcap', ['handles-transient'], { env })).stdout;
}

module.exports = { takeSlots, freeSlots, loadedObjects };
