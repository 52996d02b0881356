#include "providers/tpm2/tcti_spec.h"

#include <algorithm>

#include "platform/error.h"

namespace device_key {

TctiSpec TctiSpec::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  TctiSpec spec{std::string(text.substr(0, colon)),
                colon == std::string_view::npos ? "" : std::string(text.substr(colon + 1))};
  const bool has_name =
      !spec.name.empty() && std::all_of(spec.name.begin(), spec.name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      });
  if (!has_name || text.find('\0') != std::string_view::npos) {
    throw DeviceKeyError(ErrorCode::kInvalidParams,
                         "tcti: expected \"<name>:<configuration>\", for example "
                         "\"device:/dev/tpmrm0\" or \"swtpm:path=/run/swtpm.sock\"");
  }
  if (spec.name == "device" && spec.conf.empty()) spec.conf = "/dev/tpmrm0";
  return spec;
}

}  // namespace device_key
