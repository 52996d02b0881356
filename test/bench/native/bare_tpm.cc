#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include <memory>
#include <stdexcept>

#include "durable_file.h"
#include "keystore/key_binding.h"
#include "operations.h"
#include "providers/tpm2/key_templates.h"

namespace device_key::bench {
namespace {

void Check(TSS2_RC rc) {
  if (rc != TSS2_RC_SUCCESS) throw std::runtime_error("ESYS answered " + std::to_string(rc));
}

struct EsysDeleter {
  void operator()(void* memory) const { Esys_Free(memory); }
};
template <class T>
using EsysPtr = std::unique_ptr<T, EsysDeleter>;

// Lives until the process ends, and does not flush its objects: the software TPM ends too.
class BareTpm {
 public:
  BareTpm(const std::string& tcti, const std::string& directory)
      : auth_(TpmAuth(AuthValueOf(AccountBinding{"account", "client"}))), directory_(directory) {
    TSS2_TCTI_CONTEXT* transport = nullptr;
    Check(Tss2_TctiLdr_Initialize(tcti.c_str(), &transport));
    Check(Esys_Initialize(&esys_, transport, nullptr));
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_PUBLIC area = StorageKeyTemplate();
    const TPM2B_DATA outside_info{};
    const TPML_PCR_SELECTION pcrs{};
    Check(Esys_CreatePrimary(esys_, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                             &no_auth, &area, &outside_info, &pcrs, &parent_, nullptr, nullptr,
                             nullptr, nullptr));
    Create();
    key_ = Load();
  }

  // TPM2_Sign with a loaded key.
  void Sign() { SignWith(key_); }

  void LoadSignFlush() {
    const ESYS_TR key = Load();
    SignWith(key);
    Check(Esys_FlushContext(esys_, key));
  }

  void CreateAndLoad() {
    Create();
    Check(Esys_FlushContext(esys_, key_));
    key_ = Load();
  }

  // Also stores the key: the minimum for a program that needs the new key on the disk before it
  // continues.
  void CreateLoadAndRecord() {
    CreateAndLoad();
    WriteRecord();
  }

  // The size of a key record.
  void WriteRecord() { WriteDurableFile(directory_, std::string(1200, 'x')); }

 private:
  void Create() {
    TPM2B_SENSITIVE_CREATE sensitive{};
    sensitive.sensitive.userAuth = auth_;
    const TPM2B_PUBLIC area = DeviceKeyTemplate();
    const TPM2B_DATA outside_info{};
    const TPML_PCR_SELECTION pcrs{};
    TPM2B_PUBLIC* public_area = nullptr;
    TPM2B_PRIVATE* private_area = nullptr;
    Check(Esys_Create(esys_, parent_, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                      &area, &outside_info, &pcrs, &private_area, &public_area, nullptr, nullptr,
                      nullptr));
    public_area_.reset(public_area);
    private_area_.reset(private_area);
  }

  ESYS_TR Load() {
    ESYS_TR key = ESYS_TR_NONE;
    Check(Esys_Load(esys_, parent_, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                    private_area_.get(), public_area_.get(), &key));
    return key;
  }

  void SignWith(ESYS_TR key) {
    Check(Esys_TR_SetAuth(esys_, key, &auth_));
    TPM2B_DIGEST digest{};
    digest.size = 32;
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = TPM2_ALG_ECDSA;
    scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    TPMT_TK_HASHCHECK ticket{};
    ticket.tag = TPM2_ST_HASHCHECK;
    ticket.hierarchy = TPM2_RH_NULL;
    TPMT_SIGNATURE* signature = nullptr;
    Check(Esys_Sign(esys_, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme,
                    &ticket, &signature));
    const EsysPtr<TPMT_SIGNATURE> owned(signature);
  }

  const TPM2B_AUTH auth_;
  const std::string directory_;
  ESYS_CONTEXT* esys_ = nullptr;
  ESYS_TR parent_ = ESYS_TR_NONE;
  ESYS_TR key_ = ESYS_TR_NONE;
  EsysPtr<TPM2B_PUBLIC> public_area_;
  EsysPtr<TPM2B_PRIVATE> private_area_;
};

}  // namespace

Operations BareTpmOperations(const std::string& tcti, const std::string& directory) {
  const auto tpm = std::make_shared<BareTpm>(tcti, directory);
  return {{"sign", [tpm] { tpm->Sign(); }},
          {"loadSignFlush", [tpm] { tpm->LoadSignFlush(); }},
          {"create", [tpm] { tpm->CreateAndLoad(); }},
          {"createDurable", [tpm] { tpm->CreateLoadAndRecord(); }},
          {"record", [tpm] { tpm->WriteRecord(); }}};
}

}  // namespace device_key::bench
