#include "providers/tpm2/wire.h"

namespace device_key {

WireWriter& WireWriter::U8(uint8_t value) {
  bytes_.push_back(value);
  return *this;
}

WireWriter& WireWriter::U16(uint16_t value) {
  return U8(static_cast<uint8_t>(value >> 8)).U8(static_cast<uint8_t>(value));
}

WireWriter& WireWriter::U32(uint32_t value) {
  return U16(static_cast<uint16_t>(value >> 16)).U16(static_cast<uint16_t>(value));
}

WireWriter& WireWriter::Raw(ByteView value) {
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  return *this;
}

WireWriter& WireWriter::Sized(ByteView value) {
  return U16(static_cast<uint16_t>(value.size())).Raw(value);
}

WireWriter& WireWriter::Header(uint16_t tag, uint32_t code) { return U16(tag).U32(0).U32(code); }

const Bytes& WireWriter::Command() {
  WireWriter size;
  size.U32(static_cast<uint32_t>(bytes_.size()));
  std::copy(size.bytes_.begin(), size.bytes_.end(), bytes_.begin() + sizeof(uint16_t));
  return bytes_;
}

uint8_t WireReader::U8() {
  const ByteView byte = Raw(1);
  return byte.empty() ? 0 : byte[0];
}

uint16_t WireReader::U16() {
  const uint16_t high = U8();
  return static_cast<uint16_t>(high << 8 | U8());
}

uint32_t WireReader::U32() {
  const uint32_t high = U16();
  return high << 16 | U16();
}

ByteView WireReader::Raw(size_t size) {
  if (size > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const ByteView taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

}  // namespace device_key
