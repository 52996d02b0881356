// Key records: the input is the text of a record's file.
#include "fuzz/oracle.h"
#include "keystore/key_record.h"

using namespace device_key;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The id of the seeds' records.
  static const KeyId id = *KeyId::Parse("dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA");
  const auto record = Accepted({ErrorCode::kStoreCorrupt, ErrorCode::kKeyNotFound}, [&] {
    return DecodeKeyRecord(Text(data, size), id, "record.json");
  });
  if (!record) return 0;
  Require(record->key_id == id, "the record has the id of its file");
  // Refused only if the indented text is longer than the maximum of a record's file.
  const auto text = Accepted({ErrorCode::kInvalidParams}, [&] { return EncodeKeyRecord(*record); });
  if (!text) return 0;
  const KeyRecord again = DecodeKeyRecord(*text, id, "record.json");
  Require(again.provider == record->provider && again.binding == record->binding &&
              again.public_key_spki_der == record->public_key_spki_der &&
              again.created_at == record->created_at && again.handle == record->handle,
          "a record is read as it was written");
  // A handle of our own has no fractions. 38888888888888888.5 is read as a double, and written as
  // 3.888888888888889e+16, which is read as an integer of the same value, and then keeps its form.
  const std::string second = EncodeKeyRecord(again);
  Require(EncodeKeyRecord(DecodeKeyRecord(second, id, "record.json")) == second,
          "a record is written as it was read");
  return 0;
}
