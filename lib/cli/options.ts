/**
 * An option of a command. `value` is its value's name in help texts; an option without `value` has
 * no value.
 */
export interface OptionSpec {
  value?: string;
  help: string;
}

/** The options of every command. */
export const commonOptions: Record<string, OptionSpec> = {
  directory: { value: 'DIR', help: 'the directory of the key records; else DEVICE_KEY_HOME' },
  tcti: { value: 'TCTI', help: 'the TPM, such as device:/dev/tpmrm0; else DEVICE_KEY_TCTI' },
  'allow-simulator': { help: 'allow a TPM simulator, which protects nothing' },
  'pkcs11-module': { value: 'FILE', help: 'the PKCS#11 module; else DEVICE_KEY_PKCS11_MODULE' },
  'pkcs11-token': {
    value: 'TOKEN',
    help: 'label, serial number or URI; else DEVICE_KEY_PKCS11_TOKEN',
  },
  'pkcs11-pin-file': {
    value: 'FILE',
    help: "a file with the token's PIN; else DEVICE_KEY_PKCS11_PIN",
  },
  'timeout-ms': { value: 'N', help: 'time limit of an operation; default 30000' },
  json: { help: 'print one JSON document, also for errors' },
  help: { help: 'explain the command (-h)' },
  version: { help: 'print the version of node-device-key (-V)' },
};
