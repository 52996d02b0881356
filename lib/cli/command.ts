import type { Arguments } from './arguments';
import type { Output } from './output';

/** An option of a command. With `value` (what to call it in help texts) it takes one. */
export interface OptionSpec {
  value?: string;
  help: string;
}

export interface Invocation {
  args: Arguments;
  output: Output;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

export interface Command {
  /** One line, for the overview. */
  summary: string;
  /** What follows the command's name. */
  usage: string;
  /** Paragraphs of at most 80 columns. */
  description: string;
  options: Record<string, OptionSpec>;
  /** The names of the arguments, all of them required. */
  positionals: string[];
  /** Command lines that work when pasted, up to the values in them. */
  examples: string[];
  /** Resolves to the exit code. Failures are thrown. */
  run(invocation: Invocation): Promise<number>;
}

/** What every command takes. */
export const commonOptions: Record<string, OptionSpec> = {
  directory: { value: 'DIR', help: 'where key records are kept; else DEVICE_KEY_HOME' },
  tcti: { value: 'TCTI', help: 'the TPM, such as device:/dev/tpmrm0; else DEVICE_KEY_TCTI' },
  'allow-simulator': { help: 'let a TPM simulator, which protects nothing, stand in' },
  'pkcs11-module': { value: 'FILE', help: 'the PKCS#11 module; else DEVICE_KEY_PKCS11_MODULE' },
  'pkcs11-token': {
    value: 'TOKEN',
    help: 'label, serial number or URI; else DEVICE_KEY_PKCS11_TOKEN',
  },
  'pkcs11-pin-file': {
    value: 'FILE',
    help: "a file with the token's PIN; else DEVICE_KEY_PKCS11_PIN",
  },
  'timeout-ms': { value: 'N', help: 'how long to wait for the hardware; 30000 if not given' },
  json: { help: 'print one JSON document, errors too' },
  help: { help: 'explain the command (-h)' },
  version: { help: 'print the version of node-device-key' },
};
