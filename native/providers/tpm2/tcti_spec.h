// Which TPM to talk to: a TCTI string of tpm2-tss, taken apart.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_

#include <string>
#include <string_view>

namespace device_key {

// The kernel's resource manager: it isolates processes from each other and flushes what they leave.
inline constexpr std::string_view kDefaultTcti = "device:/dev/tpmrm0";

// "<name>:<conf>", as in TPM2TOOLS_TCTI. Two names are supported: "device:/dev/tpmrm0" and
// "swtpm:path=/run/tpm.sock". tpm2-tss has other TCTIs, on which time limits do not hold.
struct TctiSpec {
  std::string name;
  std::string conf;

  // Throws `invalid_params` for any other text; the message begins with `source`, where the text
  // comes from: an option or an environment variable. If an invalid variable were ignored, or
  // reported as a missing TPM, the key could go into a weaker store than its user wants.
  static TctiSpec Parse(std::string_view text, std::string_view source = "tcti");

  std::string str() const { return name + ":" + conf; }

  // Whether the TPM behind it is a simulator, which protects nothing.
  bool is_simulator() const { return name == "swtpm"; }
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_
