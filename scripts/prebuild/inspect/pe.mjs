// The addons for Windows.
import { readFileSync } from 'node:fs';

import { wrongExports, wrongImports } from './symbols.mjs';
import { tool } from './tool.mjs';

// What every Windows 10 has in System32, and loads from there whatever lies beside the host.
const systemDlls = /^(kernel32|advapi32|user32|ws2_32|crypt32|msvcrt|ntdll)\.dll$/;
// native/addon/delay_load_win.cc says where these are found.
const delayedDlls = ['node.exe', 'bcrypt.dll'];

// FAST_FAIL_STACK_COOKIE_CHECK_FAILURE: "mov ecx, 2; int 29h" and "mov w0, 2; brk 0xf003".
const stackFailure = { AMD64: 'b902000000cd29', ARM64: '4000805260003ed4' };

export function inspectPe(target, file) {
  const headers = tool(
    'llvm-readobj',
    ...['--file-headers', '--sections', '--coff-imports', '--coff-exports'],
    file,
  );
  const machine = target.endsWith('-arm64') ? 'ARM64' : 'AMD64';
  if (!headers.includes(`Machine: IMAGE_FILE_MACHINE_${machine} `)) {
    return [`is not for ${machine} and Windows`];
  }

  const complaints = [];
  for (const { library } of imports(headers, 'Import')) {
    if (!systemDlls.test(library.toLowerCase())) complaints.push(`imports ${library}`);
  }
  const delayed = imports(headers, 'DelayImport');
  for (const { library } of delayed) {
    if (!delayedDlls.includes(library)) complaints.push(`delay-loads ${library}`);
  }
  for (const library of delayedDlls) {
    if (!delayed.some((other) => other.library === library)) {
      complaints.push(`does not delay-load ${library}`);
    }
  }
  complaints.push(...wrongImports(delayed.flatMap(({ names }) => names)));
  complaints.push(
    ...wrongExports(
      Array.from(headers.matchAll(/^Export \{.*?Name: (\S+)/gms), ([, name]) => name),
    ),
  );
  for (const flag of ['DYNAMIC_BASE', 'HIGH_ENTROPY_VA', 'NX_COMPAT']) {
    if (!headers.includes(`IMAGE_DLL_CHARACTERISTICS_${flag} `)) complaints.push(`lacks ${flag}`);
  }
  // Hardening: cmake/prebuild/win_stack_guard.cc.
  if (!readFileSync(file).includes(Buffer.from(stackFailure[machine], 'hex'))) {
    complaints.push('has no stack protector');
  }
  if (!imports(headers, 'Import').some(({ names }) => names.includes('SystemFunction036'))) {
    complaints.push('has a stack protector with a known canary');
  }
  if (!/TimeDateStamp: .*\(0x0\)/.test(headers)) complaints.push('holds the time of its build');
  if (!/^ +SymbolCount: 0$/m.test(headers) || /Name: \.debug/.test(headers)) {
    complaints.push('is not stripped');
  }
  return complaints;
}

/** The DLLs of a directory of imports, each with the names of its functions. */
function imports(headers, directory) {
  return Array.from(headers.matchAll(new RegExp(`^${directory} \\{\\n(.*?)^\\}`, 'gms'))).map(
    ([, body]) => ({
      library: /Name: (\S+)/.exec(body)[1],
      names: Array.from(body.matchAll(/Symbol: (\S+)/g), ([, name]) => name),
    }),
  );
}
