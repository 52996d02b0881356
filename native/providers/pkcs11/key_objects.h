// A device key as objects on a token: a private and a public key with the same CKA_ID and label.
// All functions throw Pkcs11Error when the module refuses a call.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_KEY_OBJECTS_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_KEY_OBJECTS_H_

#include "crypto/bytes.h"
#include "crypto/sha256.h"
#include "protocol/key_id.h"
#include "providers/pkcs11/token_session.h"

namespace device_key {

// C_GenerateKeyPair of a P-256 key that can only sign and cannot leave the token. Returns its SPKI.
// Reads the attributes back. If one is not as asked for, it destroys the key and throws
// `hardware_unavailable`.
Bytes GenerateKey(TokenSession& session, const KeyId& id);

// An ECDSA signature (CKM_ECDSA) in DER. Throws `key_lost` when the token does not have the key.
Bytes SignDigest(TokenSession& session, const KeyId& id, const Sha256Digest& digest);

// Destroys all objects that the token has under this id; succeeds when there are none. Throws
// `platform_error` when the token still shows the private key afterwards.
void DestroyKey(TokenSession& session, const KeyId& id);

// The SPKI of a CKA_EC_POINT: an uncompressed point in a DER OCTET STRING, as the specification
// asks (Current Mechanisms, section 2.3.3), or the bare point, which some modules return. Throws
// `crypto_error`.
Bytes SpkiFromEcPoint(ByteView ec_point);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_KEY_OBJECTS_H_
