// The package in bundles: built with each configuration of docs/bundlers.md, run by Node.js 22 and
// 24. scripts/bootstrap installs the bundlers (test/support/bundlers), unless npm's registry cannot
// be reached.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(__dirname, '../..');
const tools = path.join(root, '.cache/bundlers/node_modules');
const run = promisify(execFile);

// Loads the addon, and prints the app-server's description of itself.
const program = `
import { PassThrough, Readable } from 'node:stream';
import { probeDeviceKeySupport } from 'node-device-key';
import { serveStdio } from 'node-device-key/app-server';

async function main() {
  const { providers } = await probeDeviceKeySupport();
  const input = Readable.from(['{"id":1,"method":"initialize","params":{"clientInfo":{"name":"me"}}}\\n']);
  const output = new PassThrough();
  await serveStdio({ input, output });
  const { result } = JSON.parse(output.read().toString());
  console.log(JSON.stringify({ code: providers[0].code, name: result.name, version: result.version }));
}
main().catch((error) => console.log(JSON.stringify(error.message)));
`;

const page = readFileSync(path.join(root, 'docs/bundlers.md'), 'utf8');
const configurations = new Map(
  Array.from(page.matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```$/gms), ([, name, code]) => [
    name!,
    code!,
  ]),
);

// How each bundler gets the name of a configuration.
const builds: Record<string, (configuration: string) => string[]> = {
  esbuild: (configuration) => [configuration],
  webpack: (configuration) => [
    '-e',
    `require('webpack')(require('./${configuration}'), (error, stats) => {
      if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString());
    })`,
  ],
  vite: (configuration) => [
    path.join(tools, 'vite/bin/vite.js'),
    ...['build', '--logLevel', 'warn', '--config', configuration],
  ],
};

const describeWithTools = existsSync(tools) ? describe : describe.skip;

describeWithTools.each([...configurations.keys()])('%s of docs/bundlers.md', (configuration) => {
  const [way = '', bundler = ''] = configuration.split('.');
  let project: string;
  let shipped: string;

  beforeAll(async () => {
    project = await mkdtemp(path.join(tmpdir(), 'dk-bundle-'));
    const modules = path.join(project, 'node_modules');
    await mkdir(modules);
    for (const name of await readdir(tools)) {
      await symlink(path.join(tools, name), path.join(modules, name));
    }
    const installed = path.join(modules, 'node-device-key');
    for (const part of ['package.json', 'dist', 'build/Release/device_key.node']) {
      await cp(path.join(root, part), path.join(installed, part), { recursive: true });
    }
    await writeFile(path.join(project, 'main.js'), program);
    await writeFile(path.join(project, configuration), configurations.get(configuration)!);
    // Vite 8 and webpack need a newer Node.js than the package.
    await run(node('22'), builds[bundler]!(configuration), { cwd: project });

    // The shipped files: the output, and the package only if it is external.
    shipped = path.join(project, 'shipped');
    await mkdir(path.join(shipped, 'node_modules'), { recursive: true });
    await rename(path.join(project, 'out'), path.join(shipped, 'out'));
    if (way === 'external') {
      await cp(installed, path.join(shipped, 'node_modules/node-device-key'), { recursive: true });
    }
    await rm(modules, { recursive: true });
  });
  afterAll(() => rm(project, { recursive: true }));

  // The output of the program.
  async function runBundle(release: string): Promise<unknown> {
    const out = path.join(shipped, 'out');
    const [main] = (await readdir(out)).filter((name) => /^main\.m?js$/.test(name));
    const { stdout } = await run(node(release), [path.join(out, main!)], {
      cwd: project,
      env: { HOME: project, DEVICE_KEY_TCTI: 'device:/nonexistent' },
    });
    return JSON.parse(stdout);
  }

  test.each(['22', '24'])('makes a bundle that runs in Node.js %s', async (release) => {
    const manifest = readFileSync(path.join(root, 'package.json'), 'utf8');
    const { name, version } = JSON.parse(manifest) as { name: string; version: string };
    expect(await runBundle(release)).toEqual({ code: 'hardware_unavailable', name, version });
  });

  if (way.startsWith('copied')) {
    test('makes a bundle that names the cause if it is shipped without the addon', async () => {
      const out = path.join(shipped, 'out');
      for (const name of await readdir(out)) {
        if (name.endsWith('.node')) await rm(path.join(out, name));
      }
      expect(await runBundle('24')).toMatch(/^the addon .* cannot be loaded from this bundle/);
    });
  }
});

function node(release: string): string {
  return path.join(tools, `node-${release}/bin/node`);
}
