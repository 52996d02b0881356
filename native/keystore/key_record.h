// The record of a key, and its JSON form on disk.
#ifndef DEVICE_KEY_KEYSTORE_KEY_RECORD_H_
#define DEVICE_KEY_KEYSTORE_KEY_RECORD_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "keystore/key_binding.h"
#include "protocol/key_id.h"

namespace device_key {

// Everything except the private key, which only the provider can use, through `handle`. The key id
// names the protection class.
struct KeyRecord {
  KeyId key_id;
  std::string provider;  // KeyProvider::name()
  Bytes public_key_spki_der;
  KeyBinding binding;      // an empty AccountBinding until the key is enrolled
  int64_t created_at = 0;  // Unix seconds
  nlohmann::json handle;   // defined by the provider
};

// JSON text, `version` first: 2 for a key with a DpopBinding, so that code that knows no such keys
// refuses the record, else 1. Throws `invalid_params` when a string is not UTF-8.
std::string EncodeKeyRecord(const KeyRecord& record);

// The record of `key_id` from `text`. Throws `store_corrupt` naming `file` (for people) and the
// member that is missing, malformed or does not match `key_id`; also for an unknown version.
KeyRecord DecodeKeyRecord(std::string_view text, const KeyId& key_id, const std::string& file);

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_KEY_RECORD_H_
