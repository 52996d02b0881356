// TSS2 PRIVATE KEY: the input is the PEM text of a key record, or the DER in one.
//
// OpenSSL reads the DER. scripts/openssl/build-instrumented makes this OpenSSL, so that libFuzzer
// sees its branches and AddressSanitizer its memory accesses.
#include "crypto/base64.h"
#include "fuzz/oracle.h"
#include "providers/tpm2/tss2_private_key.h"

using namespace device_key;

namespace {

std::string Pem(ByteView der) {
  const std::string base64 = Base64Encode(der);
  std::string pem = "-----BEGIN TSS2 PRIVATE KEY-----\n";
  for (size_t i = 0; i < base64.size(); i += 64) pem += base64.substr(i, 64) + "\n";
  return pem + "-----END TSS2 PRIVATE KEY-----\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = Text(data, size);
  const std::string pem = text.starts_with("-----") ? std::string(text) : Pem({data, size});
  const auto key =
      Accepted({ErrorCode::kStoreCorrupt}, [&] { return Tss2PrivateKey::FromPem(pem); });
  if (!key) return 0;
  const std::string written = key->ToPem();
  const Tss2PrivateKey again = Tss2PrivateKey::FromPem(written);
  Require(again.parent == key->parent && again.public_area == key->public_area &&
              again.private_area == key->private_area,
          "a key is read as it was written");
  Require(again.ToPem() == written, "a key has one form");
  return 0;
}
