import type { DeviceKeyProofDecision } from 'node-device-key/verify';

/** Upper bounds in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1];

/** Counts decisions, and writes the counts in Prometheus' text format, version 0.0.4. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #proofs = new Map<string, number>();
  readonly #atMost = BUCKETS.map(() => 0);
  #seconds = 0;
  #verifications = 0;

  /** Both come from short lists in this program and in the verifier, never from a request. */
  countRequest(operation: string, code: string): void {
    count(this.#requests, `operation="${operation}",code="${code}"`);
  }

  /** Pass it to `verifyDeviceKeyProof` as `onDecision`. */
  readonly countProof = ({ type, code, seconds }: DeviceKeyProofDecision): void => {
    count(this.#proofs, `type="${type}",code="${code}"`);
    this.#verifications += 1;
    this.#seconds += seconds;
    BUCKETS.forEach((bound, index) => {
      if (seconds <= bound) this.#atMost[index] = (this.#atMost[index] ?? 0) + 1;
    });
  };

  toString(): string {
    const name = 'device_key_verification_seconds';
    return [
      ...counter('device_key_requests_total', 'Requests, by how they ended.', this.#requests),
      ...counter('device_key_proofs_total', 'Proofs, by what the verifier said.', this.#proofs),
      `# HELP ${name} From a proof to its verdict, the nonce store included.`,
      `# TYPE ${name} histogram`,
      ...BUCKETS.map((bound, index) => `${name}_bucket{le="${bound}"} ${this.#atMost[index]}`),
      `${name}_bucket{le="+Inf"} ${this.#verifications}`,
      `${name}_sum ${this.#seconds}`,
      `${name}_count ${this.#verifications}`,
      '',
    ].join('\n');
  }
}

function count(counts: Map<string, number>, labels: string): void {
  counts.set(labels, (counts.get(labels) ?? 0) + 1);
}

function counter(name: string, help: string, counts: Map<string, number>): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} counter`,
    ...Array.from(counts, ([labels, value]) => `${name}{${labels}} ${value}`),
  ];
}
