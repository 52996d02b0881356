#include <memory>
#include <stdexcept>

#include "crypto/openssl.h"
#include "crypto/p256.h"
#include "keystore/key_record.h"
#include "operations.h"
#include "payload.h"
#include "platform/error.h"
#include "protocol/decode.h"
#include "protocol/encode.h"
#include "protocol/rules.h"
#include "protocol/signed_bytes.h"

namespace device_key::bench {
namespace {

const char kKeyId[] = "dk_tpm_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

// The example of RFC 6979, appendix A.2.5 (P-256, SHA-256, "sample"): a public key, a digest and
// its signature. So every run computes the same.
const char kPoint[] =
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const char kSignature[] =
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
const char kMessage[] = "sample";

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// Two 32-byte numbers.
struct Pair {
  explicit Pair(std::string_view hex) : bytes(FromHex(hex)) {}
  ByteView first() const { return ByteView(bytes).first(32); }
  ByteView second() const { return ByteView(bytes).last(32); }
  const Bytes bytes;
};

void DecodeRulesSignedBytes(const std::string& text, const TargetPolicy& targets, int64_t now) {
  const SignParams params = DecodeSignParams(text);
  CheckSignPayload(params.payload, targets, now);
  SignedBytes(params.payload);
}

void Require(bool holds) {
  if (!holds) throw std::logic_error("a benchmark does not do what it says");
}

}  // namespace

Operations PureOperations() {
  const Pair point(kPoint);
  const Pair signature(kSignature);
  const Bytes spki = SpkiFromPoint(point.first(), point.second());
  const Bytes der = EcdsaDerFromRaw(signature.first(), signature.second());
  const Sha256Digest digest = Sha256(AsBytes(kMessage));
  const auto public_key = std::make_shared<P256PublicKey>(P256PublicKey::FromSpki(spki));

  const int64_t now = 1'800'000'000;
  const std::string text = SignParamsText(kKeyId, now + 600);
  const std::string refused = SignParamsText(kKeyId, now);
  const TargetPolicy targets = TargetPolicy::Default();
  const SignResponse response{der, SignedBytes(DecodeSignParams(text).payload)};

  return {
      {"decode + rules + signed bytes", [=] { DecodeRulesSignedBytes(text, targets, now); }},
      {"refusal",
       [=] {
         try {
           DecodeRulesSignedBytes(refused, targets, now);
         } catch (const DeviceKeyError&) {
           return;
         }
         Require(false);
       }},
      {"response", [=] { EncodeSignResponse(response); }},
      {"SHA-256 of the signed bytes", [=] { Sha256(AsBytes(response.signed_bytes)); }},
      {"SPKI of a point, checked", [=] { SpkiFromPoint(point.first(), point.second()); }},
      {"DER of a signature", [=] { EcdsaDerFromRaw(signature.first(), signature.second()); }},
      {"verify", [=] { Require(public_key->Verify(digest, der)); }},
  };
}

}  // namespace device_key::bench
