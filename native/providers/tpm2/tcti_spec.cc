#include "providers/tpm2/tcti_spec.h"

#include "platform/error.h"

namespace device_key {

TctiSpec TctiSpec::Parse(std::string_view text, std::string_view source) {
  const size_t colon = text.find(':');
  TctiSpec spec{std::string(text.substr(0, colon)),
                colon == std::string_view::npos ? "" : std::string(text.substr(colon + 1))};
  if ((spec.name != "device" && spec.name != "swtpm") ||
      text.find('\0') != std::string_view::npos) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         std::string(source) +
                             ": expected a TPM as \"device:<node>\" or \"swtpm:<configuration>\", "
                             "for example \"device:/dev/tpmrm0\" or "
                             "\"swtpm:path=/run/swtpm.sock\"; other TCTIs are not supported");
  }
  if (spec.name == "device" && spec.conf.empty()) spec.conf = "/dev/tpmrm0";
  return spec;
}

}  // namespace device_key
