// The hardening of the linked addon against attacks on its memory. scripts/prebuild/inspect
// checks the prebuilt ones.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const addon = path.join(__dirname, '../../build/Release/device_key.node');

function output(command: string, ...args: string[]): string {
  return execFileSync(command, [...args, addon], { encoding: 'utf8', maxBuffer: 2 ** 28 });
}

// Only of our own code: libcrypto.a brings its own canaries and checked copies into the addon.
const objects = path.join(__dirname, '../../build/Release/obj.target/device_key/build/units');
const importsOfOurCode = execFileSync(
  'nm',
  [
    '--undefined-only',
    ...readdirSync(objects)
      .filter((name) => name.endsWith('.o'))
      .map((name) => path.join(objects, name)),
  ],
  { encoding: 'utf8' },
);
const headers = output('readelf', '--program-headers', '--wide');
const dynamic = output('readelf', '--dynamic', '--wide');

test('functions with buffers have canaries (-fstack-protector)', () => {
  expect(importsOfOurCode).toContain('__stack_chk_fail');
});

test('copies whose target has a known size are checked (_FORTIFY_SOURCE)', () => {
  expect(importsOfOurCode).toMatch(/ __\w+_chk\b/);
});

test('the tables of the dynamic linker are read-only after loading (RELRO, BIND_NOW)', () => {
  expect(headers).toContain('GNU_RELRO');
  expect(dynamic).toMatch(/\(FLAGS(_1)?\).*NOW/);
});

test('no segment is both writable and executable, the stack included', () => {
  const segments = Array.from(headers.matchAll(/^ +(\w+) .* ([R ][W ][E ]) +0x\w+$/gm));
  expect(segments.length).toBeGreaterThan(3);
  expect(segments.filter(([, , flags]) => flags!.endsWith('WE'))).toEqual([]);
  expect(segments.find(([, name]) => name === 'GNU_STACK')?.[2]).toBe('RW ');
});

test('no library is searched for beside the addon (RPATH, RUNPATH)', () => {
  expect(dynamic).not.toMatch(/\((RPATH|RUNPATH)\)/);
});

// The file as a whole is not marked (GNU_PROPERTY_X86_FEATURE_1_IBT) because the system's
// libcrypto.a is not, so the kernel does not enforce it yet.
test('our functions begin with a landing pad for indirect jumps (CET, BTI)', () => {
  const code = output('objdump', '--disassemble=napi_register_module_v1', '--no-show-raw-insn');
  const [, first] = /<napi_register_module_v1[^>]*>:\n(.*)\n/.exec(code) ?? [];
  expect(first).toMatch(process.arch === 'arm64' ? /\b(bti|paciasp)\b/ : /\bendbr64\b/);
});
