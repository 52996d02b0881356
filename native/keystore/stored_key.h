// A key record together with its public key, parsed once.
#ifndef DEVICE_KEY_KEYSTORE_STORED_KEY_H_
#define DEVICE_KEY_KEYSTORE_STORED_KEY_H_

#include <mutex>
#include <utility>

#include "crypto/p256.h"
#include "keystore/key_record.h"

namespace device_key {

// Immutable and shared between threads.
class StoredKey {
 public:
  StoredKey(KeyRecord record, P256PublicKey public_key)
      : record_(std::move(record)), public_key_(std::move(public_key)) {}

  const KeyRecord& record() const { return record_; }

  bool Verify(const Sha256Digest& digest, ByteView signature_der) const {
    const std::lock_guard lock(public_key_mutex_);
    return public_key_.Verify(digest, signature_der);
  }

 private:
  const KeyRecord record_;
  mutable std::mutex public_key_mutex_;  // P256PublicKey is for one thread at a time
  const P256PublicKey public_key_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_KEYSTORE_STORED_KEY_H_
