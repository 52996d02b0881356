#include "providers/tpm2/marshalling.h"

#include "crypto/openssl.h"
#include "crypto/sha256.h"
#include "providers/tpm2/tpm_status.h"
#include "providers/tpm2/tss2_library.h"

namespace device_key {
namespace {

template <class Structure, class Marshal>
Bytes MarshalledBy(Marshal marshal, const Structure& value) {
  Bytes bytes(sizeof value);
  size_t size = 0;
  CheckTpm("encode a key", marshal(&value, bytes.data(), bytes.size(), &size));
  bytes.resize(size);
  return bytes;
}

// IsStorageKey and IsDeviceKey accept only these two name algorithms.
Bytes NameDigest(TPM2_ALG_ID algorithm, ByteView message) {
  if (algorithm != TPM2_ALG_SHA384) {
    const Sha256Digest digest = Sha256(message);
    return Bytes(digest.begin(), digest.end());
  }
  InitOpenSsl();
  Bytes digest(48);
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha384(), nullptr) !=
      1) {
    throw CryptoError("SHA-384 failed");
  }
  return digest;
}

}  // namespace

Bytes Marshalled(const TPM2B_PUBLIC& area) {
  return MarshalledBy(Tss2Library::Get().Tss2_MU_TPM2B_PUBLIC_Marshal, area);
}

Bytes Marshalled(const TPM2B_PRIVATE& area) {
  return MarshalledBy(Tss2Library::Get().Tss2_MU_TPM2B_PRIVATE_Marshal, area);
}

Bytes Marshalled(const TPMT_PUBLIC& area) {
  return MarshalledBy(Tss2Library::Get().Tss2_MU_TPMT_PUBLIC_Marshal, area);
}

Bytes Marshalled(const TPMT_SIGNATURE& signature) {
  return MarshalledBy(Tss2Library::Get().Tss2_MU_TPMT_SIGNATURE_Marshal, signature);
}

bool Unmarshal(const Bytes& bytes, size_t& offset, TPM2B_PUBLIC& area) {
  return Tss2Library::Get().Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes.data(), bytes.size(), &offset,
                                                           &area) == TSS2_RC_SUCCESS;
}

bool Unmarshal(const Bytes& bytes, size_t& offset, TPM2B_PRIVATE& area) {
  return Tss2Library::Get().Tss2_MU_TPM2B_PRIVATE_Unmarshal(bytes.data(), bytes.size(), &offset,
                                                            &area) == TSS2_RC_SUCCESS;
}

Bytes NameOf(const TPM2B_PUBLIC& area) {
  const Bytes marshalled = Marshalled(area);
  const ByteView named = ByteView(marshalled).subspan(sizeof area.size);
  const uint16_t algorithm = area.publicArea.nameAlg;
  Bytes name{static_cast<uint8_t>(algorithm >> 8), static_cast<uint8_t>(algorithm)};
  const Bytes digest = NameDigest(algorithm, named);
  name.insert(name.end(), digest.begin(), digest.end());
  return name;
}

bool IsObjectName(ByteView bytes) {
  if (bytes.size() < 2) return false;
  const int algorithm = bytes[0] << 8 | bytes[1];
  return (algorithm == TPM2_ALG_SHA256 && bytes.size() == 2 + 32) ||
         (algorithm == TPM2_ALG_SHA384 && bytes.size() == 2 + 48);
}

}  // namespace device_key
