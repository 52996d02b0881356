// Signed bytes that a caller has formed itself. The input is those bytes, or the JSON text of the
// whole request.
#include "crypto/base64.h"
#include "fuzz/oracle.h"
#include "protocol/decode.h"
#include "protocol/signed_bytes.h"

using namespace device_key;

namespace {

std::optional<SignParams> Decode(std::string_view json_text) {
  return Accepted({ErrorCode::kInvalidParams, ErrorCode::kInvalidPayload},
                  [&] { return DecodeSignBytesParams(json_text); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Decode(Text(data, size));
  const auto params = Decode(
      R"({"keyId":"dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA","signedPayloadBase64":")" +
      Base64Encode({data, size}) + "\"}");
  if (params) {
    Require(SignedBytes(params->payload) == Text(data, size),
            "nothing is signed but what a payload's signed bytes are");
  }
  return 0;
}
