// TPM structures as bytes: big-endian numbers, and buffers behind their size as 16 bits (TPM 2.0
// Library Specification, Part 1, section 18, and Part 2, section 10.4).
#ifndef DEVICE_KEY_PROVIDERS_TPM2_WIRE_H_
#define DEVICE_KEY_PROVIDERS_TPM2_WIRE_H_

#include <cstddef>
#include <cstdint>

#include "crypto/bytes.h"

namespace device_key {

class WireWriter {
 public:
  WireWriter& U8(uint8_t value);
  WireWriter& U16(uint16_t value);
  WireWriter& U32(uint32_t value);
  WireWriter& Raw(ByteView value);
  WireWriter& Sized(ByteView value);  // at most 65,535 bytes
  // A command's header; its size is set by `Command`.
  WireWriter& Header(uint16_t tag, uint32_t code);

  Bytes& bytes() { return bytes_; }
  // The bytes, which begin with a Header, with their number in it.
  const Bytes& Command();

 private:
  Bytes bytes_;
};

// Reads what a TPM sent. Behind the end everything is zero and empty, and `ok` false for good.
class WireReader {
 public:
  explicit WireReader(ByteView bytes) : rest_(bytes) {}
  uint8_t U8();
  uint16_t U16();
  uint32_t U32();
  ByteView Raw(size_t size);
  ByteView Sized() { return Raw(U16()); }

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

 private:
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_WIRE_H_
