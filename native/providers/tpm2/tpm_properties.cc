#include "providers/tpm2/tpm_properties.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>

#include "providers/tpm2/tpm_commands.h"

namespace device_key {
namespace {

using Properties = std::map<TPM2_PT, uint32_t>;

void ReadGroup(TpmConnection& connection, TPM2_PT group, Properties& properties) {
  const auto data =
      GetCapability(connection, TPM2_CAP_TPM_PROPERTIES, group, TPM2_MAX_TPM_PROPERTIES);
  const TPML_TAGGED_TPM_PROPERTY& list = data.data.tpmProperties;
  for (const TPMS_TAGGED_PROPERTY& entry : std::span(list.tpmProperty, list.count)) {
    properties[entry.property] = entry.value;
  }
}

// Each value has four ASCII characters, padded with NULs or blanks.
std::string Text(const Properties& properties, std::initializer_list<TPM2_PT> names) {
  std::string text;
  for (const TPM2_PT name : names) {
    const auto found = properties.find(name);
    if (found == properties.end()) continue;
    for (int shift = 24; shift >= 0; shift -= 8) {
      const char c = static_cast<char>(found->second >> shift & 0xFF);
      if (c >= ' ' && c <= '~') text += c;
    }
  }
  const size_t end = text.find_last_not_of(' ');
  return end == std::string::npos ? "" : text.substr(0, end + 1);
}

uint32_t Value(const Properties& properties, TPM2_PT name) {
  const auto found = properties.find(name);
  return found == properties.end() ? 0 : found->second;
}

}  // namespace

nlohmann::json ReadTpmProperties(TpmConnection& connection) {
  Properties properties;
  ReadGroup(connection, TPM2_PT_FIXED, properties);
  ReadGroup(connection, TPM2_PT_VAR, properties);
  std::string firmware;
  for (const TPM2_PT name : {TPM2_PT_FIRMWARE_VERSION_1, TPM2_PT_FIRMWARE_VERSION_2}) {
    const uint32_t value = Value(properties, name);
    if (!firmware.empty()) firmware += '.';
    firmware += std::to_string(value >> 16) + "." + std::to_string(value & 0xFFFF);
  }
  const uint32_t permanent = Value(properties, TPM2_PT_PERMANENT);
  return {
      {"manufacturer", Text(properties, {TPM2_PT_MANUFACTURER})},
      {"vendor", Text(properties, {TPM2_PT_VENDOR_STRING_1, TPM2_PT_VENDOR_STRING_2,
                                   TPM2_PT_VENDOR_STRING_3, TPM2_PT_VENDOR_STRING_4})},
      {"firmwareVersion", firmware},
      {"ownerAuthSet", (permanent & TPMA_PERMANENT_OWNERAUTHSET) != 0},
      {"inLockout", (permanent & TPMA_PERMANENT_INLOCKOUT) != 0},
      {"lockoutCounter", Value(properties, TPM2_PT_LOCKOUT_COUNTER)},
      {"maxAuthFail", Value(properties, TPM2_PT_MAX_AUTH_FAIL)},
      {"lockoutIntervalSeconds", Value(properties, TPM2_PT_LOCKOUT_INTERVAL)},
  };
}

bool HasP256(TpmConnection& connection) {
  const auto data = GetCapability(connection, TPM2_CAP_ECC_CURVES, 0, TPM2_MAX_ECC_CURVES);
  const TPML_ECC_CURVE& list = data.data.eccCurves;
  const auto curves = std::span(list.eccCurves, list.count);
  return std::find(curves.begin(), curves.end(), TPM2_ECC_NIST_P256) != curves.end();
}

}  // namespace device_key
