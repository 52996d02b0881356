// What the tests' child processes have of the environment: nothing of this machine's own TPM, tokens
// and keys. Modules registered with p11-kit would be asked otherwise; they write to standard error,
// and some write files.
export const bareEnvironment: NodeJS.ProcessEnv = {
  PATH: process.env['PATH'],
  DEVICE_KEY_PKCS11_MODULE: '/nonexistent/pkcs11.so',
};
