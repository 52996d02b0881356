// Public keys and signatures. The input is an SPKI, a DER signature, or two concatenated numbers.
//
// scripts/openssl/build-instrumented makes this OpenSSL, so that libFuzzer sees its branches.
#include <openssl/ec.h>
#include <openssl/ecdsa.h>

#include <algorithm>

#include "crypto/base64.h"
#include "crypto/p256.h"
#include "fuzz/oracle.h"

using namespace device_key;

namespace {

void CheckSpki(ByteView input) {
  // The uncompressed point of an accepted key is at the end (RFC 5480, section 2.2).
  const auto key =
      Accepted({ErrorCode::kCryptoError}, [&] { return P256PublicKey::FromSpki(input); });
  if (!key || input.size() != 91) return;
  const Bytes again = SpkiFromPoint(input.subspan(27, 32), input.subspan(59, 32));
  Require(std::equal(again.begin(), again.end(), input.begin(), input.end()),
          "an SPKI has one form");
}

void CheckSignature(ByteView input) {
  // The seed's key, and a message that it has signed.
  static const P256PublicKey key = P256PublicKey::FromSpki(
      *Base64Decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5luV8WnWqorCv2g8AsKs85Xuwvo"
                    "IX1fqkaDjnOQfzHINjpp7MDd8Q75bYQczXeZmJaw1ZC1/zwyIFwIj0zVNbQ=="));
  static const Sha256Digest digest = Sha256(AsBytes(""));
  if (!key.Verify(digest, input)) return;
  const uint8_t* cursor = input.data();
  ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(input.size()));
  Require(parsed != nullptr, "a valid signature is DER");
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parsed, &der);
  Require(size > 0 && std::equal(der, der + size, input.begin(), input.end()),
          "a valid signature is in its one form");
  OPENSSL_free(der);
  ECDSA_SIG_free(parsed);
}

void CheckRaw(ByteView input) {
  const ByteView r = input.first(input.size() / 2);
  const ByteView s = input.subspan(input.size() / 2);
  const auto der = Accepted({ErrorCode::kCryptoError}, [&] { return EcdsaDerFromRaw(r, s); });
  if (!der) return;
  Require(r.size() <= 32 && s.size() <= 32 && der->size() <= 72, "a signature fits P-256");
  const uint8_t* cursor = der->data();
  ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(der->size()));
  Require(parsed != nullptr && cursor == der->data() + der->size(), "the result is DER");
  BIGNUM* want_r = BN_bin2bn(r.data(), static_cast<int>(r.size()), nullptr);
  BIGNUM* want_s = BN_bin2bn(s.data(), static_cast<int>(s.size()), nullptr);
  Require(BN_cmp(ECDSA_SIG_get0_r(parsed), want_r) == 0 &&
              BN_cmp(ECDSA_SIG_get0_s(parsed), want_s) == 0,
          "the numbers survive");
  BN_free(want_r);
  BN_free(want_s);
  ECDSA_SIG_free(parsed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CheckSpki({data, size});
  CheckSignature({data, size});
  CheckRaw({data, size});
  return 0;
}
