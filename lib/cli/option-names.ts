/** A message of the library, with the command line's names of its options. */
export function withCommandLineNames(message: string): string {
  return message
    .replace(/\boptions\.(directory|tcti)\b/g, '--$1')
    .replace(/\b(options\.)?timeoutMs\b/g, '--timeout-ms')
    .replace(/\ballowSimulator: true\b/g, '--allow-simulator');
}
