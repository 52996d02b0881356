// DPoP proofs (RFC 9449): the rules for their contents, and their bytes. No I/O: callers pass the
// time, the random bytes and the signature.
#ifndef DEVICE_KEY_PROTOCOL_DPOP_H_
#define DEVICE_KEY_PROTOCOL_DPOP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/p256.h"
#include "protocol/types.h"

namespace device_key {

// The client id must be non-empty and free of NUL. There must be at least one origin, each in its
// canonical form (ParseOrigin), https, or http on a loopback host. Throws `invalid_params`.
void CheckCreateDpopKeyParams(const CreateDpopKeyParams& params);

// Every rule for a proof except its origin's membership in the key's origins. Throws
// `invalid_params` naming the member.
//   htm    a method: a token (RFC 9110 section 5.6.2) without lower-case letters
//   htu    an https URL, or http on a loopback host, that equals its own serialisation (WHATWG
//   URL),
//          without user info, query and fragment
//   nonce  1*NQCHAR (RFC 9449 section 8.1), at most 1,024 characters
//   ath    a SHA-256 digest in canonical, unpadded base64url
void CheckDpopClaims(const DpopClaims& claims);

// The origin of `htu` must be one of `origins`. Throws `binding_mismatch`.
void CheckDpopOrigin(std::string_view htu, const std::vector<std::string>& origins);

// {"crv":"P-256","kty":"EC","x":"...","y":"..."}: the public key as a JWK in the form that RFC 7638
// hashes.
std::string EcJwk(ByteView spki_der);

// RFC 7638 section 3: base64url of the SHA-256 digest of EcJwk.
std::string JwkThumbprint(ByteView spki_der);

// The bytes to sign (RFC 7515 section 5.1): the header and the claims, each in base64url, with a
// dot between them. `jti` is for claims without one; `iat` is in Unix seconds.
std::string DpopSigningInput(ByteView spki_der, const DpopClaims& claims, std::string_view jti,
                             int64_t iat);

// The proof: a JWS in its compact serialisation.
std::string DpopProof(std::string_view signing_input, const RawEcdsaSignature& signature);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_DPOP_H_
