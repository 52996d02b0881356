// Which TPM to talk to: the TCTI string of tpm2-tss, taken apart.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_

#include <string>
#include <string_view>

namespace device_key {

// The kernel's resource manager: it isolates processes from each other and flushes what they leave.
inline constexpr std::string_view kDefaultTcti = "device:/dev/tpmrm0";

// "<name>:<conf>", as in TPM2TOOLS_TCTI ("device:/dev/tpmrm0", "swtpm:path=/run/tpm.sock",
// "tabrmd:bus_type=session").
struct TctiSpec {
  std::string name;
  std::string conf;

  // Throws `invalid_params` for a string without a name. An empty string in particular would make
  // tpm2-tss try five TCTIs in turn and hide why each failed.
  static TctiSpec Parse(std::string_view text);

  std::string str() const { return name + ":" + conf; }

  // Whether the TPM behind it may be a simulator, which protects nothing. Only a device node and
  // the access broker in front of one are taken for hardware.
  bool is_simulator() const { return name != "device" && name != "tabrmd"; }

  // Whether something swaps our objects in and out of the TPM's few slots around each command.
  bool has_resource_manager() const {
    return name == "tabrmd" || (name == "device" && conf.find("tpmrm") != std::string::npos);
  }
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_
