// The parts of a signature that wait for nothing.
#include <benchmark/benchmark.h>

#include "crypto/openssl.h"
#include "crypto/p256.h"
#include "payload.h"
#include "protocol/decode.h"
#include "protocol/rules.h"
#include "protocol/signed_bytes.h"

namespace device_key::bench {
namespace {

const char kKeyId[] = "dk_tpm_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

void DecodeRulesSignedBytes(benchmark::State& state) {
  const std::string text = SignParamsText(kKeyId);
  const TargetPolicy targets = TargetPolicy::Default();
  const int64_t now = SystemUnixSeconds();
  for (auto _ : state) {
    const SignParams params = DecodeSignParams(text);
    CheckSignPayload(params.payload, targets, now);
    benchmark::DoNotOptimize(SignedBytes(params.payload));
  }
}
BENCHMARK(DecodeRulesSignedBytes);

// A key pair of OpenSSL's, since the library itself makes no keys.
struct SoftwareKey {
  SoftwareKey() : key(EVP_EC_gen("P-256")) {
    uint8_t point[65];
    size_t size = 0;
    EVP_PKEY_get_octet_string_param(key.get(), "pub", point, sizeof point, &size);
    x.assign(point + 1, point + 33);
    y.assign(point + 33, point + 65);
  }
  Bytes Sign(const Sha256Digest& digest) const {
    const ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    Bytes signature(80);
    size_t size = signature.size();
    EVP_PKEY_sign_init(context.get());
    EVP_PKEY_sign(context.get(), signature.data(), &size, digest.data(), digest.size());
    signature.resize(size);
    return signature;
  }

  ScopedEvpPkey key;
  Bytes x;
  Bytes y;
};

void SpkiOfPoint(benchmark::State& state) {
  const SoftwareKey key;
  for (auto _ : state) benchmark::DoNotOptimize(SpkiFromPoint(key.x, key.y));
}
BENCHMARK(SpkiOfPoint);

void DerOfSignature(benchmark::State& state) {
  const SoftwareKey key;  // two coordinates are as good as the halves of a signature
  for (auto _ : state) benchmark::DoNotOptimize(EcdsaDerFromRaw(key.x, key.y));
}
BENCHMARK(DerOfSignature);

void Verify(benchmark::State& state) {
  const SoftwareKey key;
  const P256PublicKey public_key = P256PublicKey::FromSpki(SpkiFromPoint(key.x, key.y));
  const Sha256Digest digest{};
  const Bytes signature = key.Sign(digest);
  for (auto _ : state) {
    if (!public_key.Verify(digest, signature)) state.SkipWithError("the signature is not valid");
  }
}
BENCHMARK(Verify);

}  // namespace
}  // namespace device_key::bench
