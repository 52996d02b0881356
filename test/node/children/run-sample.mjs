// Runs one sample of a page of the documentation, and checks its effect: the function of
// ./samples/<page>.mjs with this title. The working directory has the page's samples as modules
// (test/node/samples.test.ts).
import path from 'node:path';

const [page, title] = process.argv.slice(2);
const { default: runs } = await import(`./samples/${path.basename(page, '.md')}.mjs`);
if (!Object.hasOwn(runs, title)) throw new Error(`there is no run of the sample: ${title}`);
await runs[title]();
process.stdout.write('passed\n');
process.exit(); // the samples leave stores and connections open
