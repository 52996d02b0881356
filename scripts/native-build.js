'use strict';
// The values that binding.gyp cannot compute: the lists of sources, definitions and options, which
// CMake uses too, and the paths of headers and libcrypto.
//
//   node scripts/native-build.js sources|definitions|options|include_dirs|libcrypto OS ARCH
//
// OS and ARCH are gyp's <(OS) and <(target_arch). Prints a list, of paths with forward slashes,
// quoted if they contain spaces, because gyp splits the output by the rules of a POSIX shell, also
// on Windows.
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const { env } = process;

// The paths that native/sources.txt lists for this operating system, and those of native/addon. For
// Linux, one generated file for each directory, which includes the sources of that directory. Most
// of what a compiler reads here is nlohmann/json, so this takes a quarter of the time.
// (CMakeLists.txt does the same.)
function sources(os) {
  const files = listedSources(os);
  if (os !== 'linux') return files;
  const directories = new Map();
  for (const file of files) {
    const directory = path.posix.dirname(file);
    directories.set(directory, [...(directories.get(directory) ?? []), file]);
  }
  return Array.from(directories, ([directory, members]) => {
    const unit = `build/units/${directory.replaceAll('/', '_')}.cc`;
    const text = members.map((file) => `#include "../../${file}"\n`).join('');
    const target = path.join(root, unit);
    // Rewriting a file would cause it to be compiled again.
    if (!fs.existsSync(target) || fs.readFileSync(target, 'utf8') !== text) {
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.writeFileSync(target, text);
    }
    return unit;
  });
}

const listedSources = (os) => listed('native/sources.txt', ['all', 'addon', os]);

// The lines of a file for these places, each "<where> <what>".
function listed(file, places) {
  return fs
    .readFileSync(path.join(root, file), 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([where, what]) => what && places.includes(where))
    .map(([, what]) => what);
}

// Homebrew for this processor, then any other Homebrew, then MacPorts.
function homebrews(arch) {
  return [arch === 'arm64' ? '/opt/homebrew' : '/usr/local', env.HOMEBREW_PREFIX].filter(Boolean);
}

// The vcpkg triplet whose libraries are static and use the static C run-time library, as our build
// does.
function vcpkgs(arch) {
  return [env.VCPKG_ROOT, env.VCPKG_INSTALLATION_ROOT, 'C:/vcpkg']
    .filter(Boolean)
    .map((directory) => `${directory}/installed/${arch}-windows-static`);
}

// Possible places of OpenSSL 3: directories with include/, and the static libcrypto in each.
function opensslPlaces(os, arch) {
  // The layout of the most common installer ("Win64 OpenSSL"), and OpenSSL's own layout.
  const windowsLibraries = [
    `lib/VC/${arch}/MT/libcrypto_static.lib`,
    'lib/libcrypto_static.lib',
    'lib/libcrypto.lib',
  ];
  const own = env.OPENSSL_ROOT_DIR;
  if (os === 'mac') {
    const prefixes = own
      ? [own]
      : [
          ...homebrews(arch).map((directory) => `${directory}/opt/openssl@3`),
          '/opt/local/libexec/openssl3',
        ];
    return prefixes.map((directory) => ({ directory, libraries: ['lib/libcrypto.a'] }));
  }
  if (own) return [{ directory: own, libraries: windowsLibraries }];
  const programs = env.ProgramFiles ?? 'C:/Program Files';
  const installed = [
    `${programs}/${arch === 'arm64' ? 'OpenSSL-Win64-ARM' : 'OpenSSL-Win64'}`,
    `${programs}/OpenSSL`, // GitHub's runner images
  ];
  return [
    ...vcpkgs(arch).map((directory) => ({ directory, libraries: ['lib/libcrypto.lib'] })),
    // Not lib/libcrypto.lib, which belongs to a DLL in this layout.
    ...installed.map((directory) => ({ directory, libraries: windowsLibraries.slice(0, 2) })),
  ];
}

function openssl(os, arch) {
  for (const { directory, libraries } of opensslPlaces(os, arch)) {
    for (const name of libraries) {
      const library = path.join(directory, name);
      if (fs.existsSync(library)) return { include: path.join(directory, 'include'), library };
    }
  }
  const cure =
    os === 'mac'
      ? 'run `brew install openssl@3`'
      : `run \`vcpkg install openssl --triplet ${arch}-windows-static\``;
  throw new Error(
    `no static libcrypto of OpenSSL 3 for ${arch} was found` +
      (env.OPENSSL_ROOT_DIR ? ` in OPENSSL_ROOT_DIR (${env.OPENSSL_ROOT_DIR})` : '') +
      `: ${cure}, or set OPENSSL_ROOT_DIR to the directory that has its include and lib`,
  );
}

// For a git checkout. On Linux the compiler finds it.
function nlohmannJson(os, arch) {
  if (os !== 'mac' && os !== 'win') return [];
  const prefixes = env.NLOHMANN_JSON_ROOT_DIR
    ? [env.NLOHMANN_JSON_ROOT_DIR]
    : os === 'mac'
      ? [...homebrews(arch).map((directory) => `${directory}/opt/nlohmann-json`), '/opt/local']
      : vcpkgs(arch);
  for (const prefix of prefixes) {
    const include = path.join(prefix, 'include');
    if (fs.existsSync(path.join(include, 'nlohmann/json.hpp'))) return [include];
  }
  const cure =
    os === 'mac'
      ? 'run `brew install nlohmann-json`'
      : `run \`vcpkg install nlohmann-json --triplet ${arch}-windows-static\``;
  throw new Error(
    `nlohmann/json.hpp, which a git checkout does not carry, was not found: ${cure}, or set ` +
      'NLOHMANN_JSON_ROOT_DIR to the directory that has it in include',
  );
}

// The published package contains the header-only libraries in vendor/include, so that a user's
// build needs only a compiler and OpenSSL. A git checkout uses node-addon-api and Node-API's
// headers from npm, and nlohmann/json from the system or its package manager.
function includeDirs(os, arch) {
  const vendored = path.join(root, 'vendor/include');
  const headers = fs.existsSync(vendored)
    ? ['vendor/include']
    : [
        path.relative(root, path.dirname(require.resolve('node-addon-api/package.json'))),
        // Only Node-API; see scripts/build-native.mjs.
        path.relative(root, require('node-api-headers').include_dir),
        ...nlohmannJson(os, arch),
      ];
  return os === 'mac' || os === 'win' ? [...headers, openssl(os, arch).include] : headers;
}

const answers = {
  sources,
  definitions: (os) => listed('native/definitions.txt', ['all', os]),
  options: (os, arch) => listed('native/options.txt', ['all', `${os}-${arch}`]),
  include_dirs: includeDirs,
  libcrypto: (os, arch) => [openssl(os, arch).library],
};

const [what, os, arch] = process.argv.slice(2);
try {
  const paths = answers[what](os, arch);
  const written = paths
    .map((name) => name.replaceAll('\\', '/'))
    .map((name) => (/\s/.test(name) ? `"${name}"` : name));
  process.stdout.write(written.join(' '));
} catch (error) {
  process.stderr.write(`node-device-key: ${error.message}\n`);
  process.exitCode = 1;
}
