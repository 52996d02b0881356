#include "providers/tpm2/tss2_private_key.h"

#include <openssl/asn1t.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <array>
#include <cstring>
#include <memory>

#include "crypto/openssl.h"

namespace device_key {
namespace {

constexpr char kPemName[] = "TSS2 PRIVATE KEY";
constexpr char kLoadableKeyOid[] = "2.23.133.10.1.3";  // id-loadablekey

// TPMKey of the specification, with the members of a key without a policy.
struct TpmKey {
  ASN1_OBJECT* type;
  ASN1_BOOLEAN emptyAuth;
  ASN1_INTEGER* parent;
  ASN1_OCTET_STRING* pubkey;
  ASN1_OCTET_STRING* privkey;
};

ASN1_SEQUENCE(TpmKey) =
    {
        ASN1_SIMPLE(TpmKey, type, ASN1_OBJECT),
        ASN1_EXP_OPT(TpmKey, emptyAuth, ASN1_BOOLEAN, 0),
        ASN1_SIMPLE(TpmKey, parent, ASN1_INTEGER),
        ASN1_SIMPLE(TpmKey, pubkey, ASN1_OCTET_STRING),
        ASN1_SIMPLE(TpmKey, privkey, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(TpmKey)

        void FreeTpmKey(TpmKey * key) {
  ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(key), ASN1_ITEM_rptr(TpmKey));
}

void FreeMemory(void* memory) { OPENSSL_free(memory); }

using ScopedTpmKey = std::unique_ptr<TpmKey, OpenSslFree<FreeTpmKey>>;
using ScopedBio = std::unique_ptr<BIO, OpenSslFree<BIO_free>>;
template <class T>
using ScopedMemory = std::unique_ptr<T, OpenSslFree<FreeMemory>>;

DeviceKeyError Corrupt(const std::string& what) {
  ERR_clear_error();
  return DeviceKeyError(ErrorCode::kStoreCorrupt,
                        "the stored TPM key is damaged: " + what +
                            ". Restore its record from a backup or enroll again");
}

bool SetBytes(ASN1_OCTET_STRING* field, const Bytes& bytes) {
  return ASN1_OCTET_STRING_set(field, bytes.data(), static_cast<int>(bytes.size())) == 1;
}

Bytes GetBytes(const ASN1_OCTET_STRING* field) {
  const unsigned char* data = ASN1_STRING_get0_data(field);
  return Bytes(data, data + ASN1_STRING_length(field));
}

}  // namespace

std::string Tss2PrivateKey::ToPem() const {
  InitOpenSsl();
  const ScopedTpmKey key(reinterpret_cast<TpmKey*>(ASN1_item_new(ASN1_ITEM_rptr(TpmKey))));
  const ScopedBio out(BIO_new(BIO_s_mem()));
  if (key == nullptr || out == nullptr) throw CryptoError("could not encode the TPM key");
  key->type = OBJ_txt2obj(kLoadableKeyOid, 1);
  key->emptyAuth = 0;
  unsigned char* der = nullptr;
  int size = -1;
  if (key->type != nullptr && ASN1_INTEGER_set_uint64(key->parent, parent) == 1 &&
      SetBytes(key->pubkey, public_area) && SetBytes(key->privkey, private_area)) {
    size = ASN1_item_i2d(reinterpret_cast<ASN1_VALUE*>(key.get()), &der, ASN1_ITEM_rptr(TpmKey));
  }
  const ScopedMemory<unsigned char> owned_der(der);
  if (size <= 0 || PEM_write_bio(out.get(), kPemName, "", der, size) <= 0) {
    throw CryptoError("could not encode the TPM key");
  }
  char* text = nullptr;
  const auto length = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<size_t>(length));
}

Tss2PrivateKey Tss2PrivateKey::FromPem(const std::string& pem) {
  InitOpenSsl();
  const ScopedBio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* der = nullptr;
  long size = 0;
  const bool is_pem = in != nullptr && PEM_read_bio(in.get(), &name, &header, &der, &size) == 1;
  const ScopedMemory<char> owned_name(name);
  const ScopedMemory<char> owned_header(header);
  const ScopedMemory<unsigned char> owned_der(der);
  if (!is_pem || std::strcmp(name, kPemName) != 0) throw Corrupt("not a TSS2 PRIVATE KEY in PEM");

  if (*header != '\0') throw Corrupt("its PEM is encrypted");

  const unsigned char* cursor = der;
  const ScopedTpmKey key(
      reinterpret_cast<TpmKey*>(ASN1_item_d2i(nullptr, &cursor, size, ASN1_ITEM_rptr(TpmKey))));
  if (key == nullptr || cursor != der + size) throw Corrupt("its DER is malformed");

  std::array<char, 32> oid{};
  OBJ_obj2txt(oid.data(), oid.size(), key->type, 1);
  if (std::strcmp(oid.data(), kLoadableKeyOid) != 0) throw Corrupt("not a loadable key");
  if (key->emptyAuth > 0) throw Corrupt("it has no authValue");
  uint64_t parent = 0;
  if (ASN1_INTEGER_get_uint64(&parent, key->parent) != 1 || parent > UINT32_MAX) {
    throw Corrupt("its parent is not a TPM handle");
  }
  return {static_cast<uint32_t>(parent), GetBytes(key->pubkey), GetBytes(key->privkey)};
}

}  // namespace device_key
