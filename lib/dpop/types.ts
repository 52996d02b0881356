/** Keys for DPoP proofs (RFC 9449), and the requests that they sign for. */
import type { DeviceKeyCreateResponse, DeviceKeyProtectionPolicy } from '../../types/v2';

export interface DpopKeyCreateParams {
  /** The OAuth client that the key is for. */
  clientId: string;
  /**
   * The origins that its proofs may go to: of the authorization server and of the resource servers.
   * `https`, or `http` on `localhost`, 127.0.0.0/8 and `[::1]`; in canonical form
   * (`https://as.example.com`: lower case, without a final slash and without the default port). A
   * host is a DNS name or a loopback address.
   */
  origins: readonly string[];
  /** As for `create`. */
  protectionPolicy?: DeviceKeyProtectionPolicy | null;
}

/** The public key of a DPoP key, with the members that a DPoP header has. */
export interface DpopJwk {
  crv: 'P-256';
  kty: 'EC';
  /** Base64url of 32 bytes, as `y`. */
  x: string;
  y: string;
}

export interface DpopKey extends DeviceKeyCreateResponse {
  jwk: DpopJwk;
  /** The JWK SHA-256 thumbprint (RFC 7638): for `dpop_jkt` and `cnf.jkt`. */
  jkt: string;
}

/** The request that a proof is for. */
export interface DpopSignParams {
  keyId: string;
  /** The HTTP method, without lower-case letters. */
  htm: string;
  /** The URL as in `URL.href`, without user info, query and fragment. */
  htu: string;
  /** The server's last `DPoP-Nonce`: at most 1,024 characters. */
  nonce?: string | undefined;
  /** The access token that is sent with the proof; the proof contains its digest. */
  accessToken?: string | undefined;
  /** In place of `accessToken`: its SHA-256 digest, in unpadded base64url. */
  accessTokenSha256Base64url?: string | undefined;
  /**
   * The authorization code that is sent with the proof. The proof's `jti` is then the code's
   * SHA-256 digest, which some servers require; without it `jti` has 128 random bits.
   */
  authorizationCode?: string | undefined;
}

export interface DpopProof {
  /** The value of the `DPoP` header: a JWS in compact serialisation. */
  proof: string;
}
