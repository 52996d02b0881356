#include "crypto/base64.h"

#include <algorithm>
#include <climits>

#include "crypto/openssl.h"

namespace device_key {

namespace {

// EVP_DecodeBlock takes an int. Callers encode far less than that.
constexpr size_t kMaxLength = INT_MAX / 2;

void ReplaceAll(std::string& text, char from, char to) {
  std::replace(text.begin(), text.end(), from, to);
}

// Decodes padded Base64. EVP_DecodeBlock(3) accepts surrounding white space and non-zero unused
// bits, so callers encode the result again and compare it with their input.
std::optional<Bytes> DecodeLeniently(std::string_view padded) {
  if (padded.size() % 4 != 0 || padded.size() > kMaxLength) return std::nullopt;
  Bytes bytes(padded.size() / 4 * 3);
  const int length =
      EVP_DecodeBlock(bytes.data(), AsBytes(padded).data(), static_cast<int>(padded.size()));
  if (length < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as zero bytes.
  const size_t padding = padded.ends_with("==") ? 2 : padded.ends_with('=') ? 1 : 0;
  if (static_cast<size_t>(length) < padding) return std::nullopt;
  bytes.resize(static_cast<size_t>(length) - padding);
  return bytes;
}

}  // namespace

std::string Base64Encode(ByteView bytes) {
  if (bytes.size() > kMaxLength) throw CryptoError("too many bytes for Base64");
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock appends a NUL
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

std::string Base64UrlEncode(ByteView bytes) {
  std::string text = Base64Encode(bytes);
  while (text.ends_with('=')) text.pop_back();
  ReplaceAll(text, '+', '-');
  ReplaceAll(text, '/', '_');
  return text;
}

std::optional<Bytes> Base64Decode(std::string_view text) {
  std::optional<Bytes> bytes = DecodeLeniently(text);
  if (bytes && Base64Encode(*bytes) != text) return std::nullopt;
  return bytes;
}

std::optional<Bytes> Base64UrlDecode(std::string_view text) {
  std::string padded(text);
  ReplaceAll(padded, '-', '+');
  ReplaceAll(padded, '_', '/');
  while (padded.size() % 4 != 0) padded.push_back('=');
  std::optional<Bytes> bytes = DecodeLeniently(padded);
  if (bytes && Base64UrlEncode(*bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace device_key
