#include "providers/tpm2/marshalling.h"

#include "crypto/tpm_hash.h"
#include "providers/tpm2/key_templates.h"
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

}  // namespace

Bytes Marshalled(const TPM2B_PUBLIC& area) {
  return MarshalledBy(Tss2Library::Get().Tss2_MU_TPM2B_PUBLIC_Marshal, area);
}

Bytes Marshalled(const TPM2B_PRIVATE& area) {
  return MarshalledBy(Tss2Library::Get().Tss2_MU_TPM2B_PRIVATE_Marshal, area);
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
  const Bytes digest = Digest(NameHash(area.publicArea), named);
  name.insert(name.end(), digest.begin(), digest.end());
  return name;
}

}  // namespace device_key
