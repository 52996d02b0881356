/** The subject of a decision. `proof` and `predecessorProof` are as the client sent them. */
export interface Evidence {
  accountUserId?: string;
  clientId?: string;
  publicKeySpkiDerBase64?: string;
  proof?: unknown;
  predecessorProof?: unknown;
}

interface Decision {
  operation: string;
  /** `accepted`, or the reason of the refusal. */
  code: string;
  error: unknown;
  evidence: Evidence;
  /** The login or token of the request, which the line must not contain. */
  secret: string;
}

/**
 * One line of JSON. With the public key anyone can verify the signed statement later. The statement
 * contains the hash of its token, not the token.
 */
export function auditLine({ operation, code, error, evidence, secret }: Decision): string {
  const { proof, predecessorProof, ...about } = evidence;
  const line = {
    time: new Date().toISOString(),
    ...{ operation, code },
    reason: error instanceof Error ? error.message : undefined,
    ...about,
    ...statementOf(proof),
    predecessor: predecessorProof === undefined ? undefined : statementOf(predecessorProof),
  };
  if (!mentions(line, secret)) return JSON.stringify(line);
  // If a client puts its secret in a wrong member, the log must not contain it.
  const { time } = line;
  return JSON.stringify({ time, operation, code, withheld: 'the request repeats its secret' });
}

function statementOf(proof: unknown) {
  if (typeof proof !== 'object' || proof === null) return {};
  const { signedPayloadBase64, signatureDerBase64 } = proof as Record<string, unknown>;
  return { signedPayloadBase64, signatureDerBase64 };
}

function mentions(line: object, secret: string): boolean {
  if (secret === '') return false;
  return Object.values(line).some((value: unknown) => {
    if (typeof value === 'object' && value !== null) return mentions(value, secret);
    if (typeof value !== 'string') return false;
    if (value.includes(secret)) return true;
    return Buffer.from(value, 'base64').includes(secret);
  });
}
