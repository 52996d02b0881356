// Request decoder: the input is the JSON text of a method's params.
#include "crypto/base64.h"
#include "fuzz/oracle.h"
#include "protocol/decode.h"
#include "protocol/json_reader.h"
#include "protocol/rules.h"
#include "protocol/signed_bytes.h"

using namespace device_key;

namespace {

constexpr int64_t kNow = 1'800'000'000;

// Calls everything that accepts a valid payload.
void Check(const SignParams& params) {
  const std::string bytes = SignedBytes(params.payload);
  const std::string request = R"({"keyId":")" + params.key_id.str() +
                              R"(","signedPayloadBase64":")" + Base64Encode(AsBytes(bytes)) + "\"}";
  if (request.size() <= kMaxJsonBytes && bytes.size() <= kMaxJsonBytes) {
    const SignParams again = DecodeSignBytesParams(request);
    Require(again.key_id == params.key_id, "the key id survives");
    Require(again.payload == params.payload, "the payload can be read from its signed bytes");
  }
  const TargetPolicy policy = TargetPolicy::Default();
  Accepted({ErrorCode::kInvalidPayload}, [&] {
    CheckSignPayload(params.payload, policy, kNow);
    return true;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = Text(data, size);
  // Every method throws invalid_payload for a duplicate member in `payload`.
  static constexpr auto kCodes = {ErrorCode::kInvalidParams, ErrorCode::kInvalidPayload};
  if (const auto create = Accepted(kCodes, [&] { return DecodeCreateParams(text); })) {
    Accepted({ErrorCode::kInvalidParams}, [&] {
      CheckCreateParams(*create);
      return true;
    });
  }
  Accepted(kCodes, [&] { return DecodeCreateUnboundParams(text); });
  Accepted(kCodes, [&] { return DecodePublicParams(text); });
  Accepted(kCodes, [&] { return DecodeAttestParams(text); });
  Accepted(kCodes, [&] { return DecodeActivateAttestationParams(text); });
  if (const auto sign = Accepted(kCodes, [&] { return DecodeSignParams(text); })) Check(*sign);
  return 0;
}
