#include "protocol/encode.h"

#include "crypto/base64.h"
#include "protocol/dpop.h"

namespace device_key {

namespace {

nlohmann::ordered_json EncodePublicKey(const KeyId& key_id, ByteView spki_der) {
  return {
      {"keyId", key_id.str()},
      {"publicKeySpkiDerBase64", Base64Encode(spki_der)},
      {"algorithm", kAlgorithm},
      {"protectionClass", ProtectionClassName(key_id.protection_class())},
  };
}

}  // namespace

nlohmann::ordered_json EncodeCreateResponse(const CreateResponse& response) {
  return EncodePublicKey(response.key_id, response.public_key_spki_der);
}

nlohmann::ordered_json EncodeCreateDpopKeyResponse(const CreateResponse& response) {
  nlohmann::ordered_json json = EncodeCreateResponse(response);
  json["jwk"] = nlohmann::ordered_json::parse(EcJwk(response.public_key_spki_der));
  json["jkt"] = JwkThumbprint(response.public_key_spki_der);
  return json;
}

nlohmann::ordered_json EncodePublicResponse(const PublicResponse& response) {
  return EncodePublicKey(response.key_id, response.public_key_spki_der);
}

std::string EncodeSignResponse(const SignResponse& response) {
  std::string text;
  text.reserve(2048);
  text.append(R"({"algorithm":")").append(kAlgorithm);
  text.append(R"(","signatureDerBase64":")").append(Base64Encode(response.signature_der));
  text.append(R"(","signedPayloadBase64":")");
  text.append(Base64Encode(AsBytes(response.signed_bytes))).append(R"("})");
  return text;
}

}  // namespace device_key
