// Which TPM to use: a parsed TCTI string of tpm2-tss.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_

#include <string>
#include <string_view>

namespace device_key {

// The kernel's resource manager. It isolates processes from each other and flushes the objects of a
// process that ends.
inline constexpr std::string_view kDefaultTcti = "device:/dev/tpmrm0";

// "<name>:<conf>", as in TPM2TOOLS_TCTI. Two names are supported: "device:/dev/tpmrm0" and
// "swtpm:path=/run/tpm.sock". Time limits would not work with the other TCTIs of tpm2-tss.
struct TctiSpec {
  std::string name;
  std::string conf;

  // Throws `invalid_params` for any other text. The message begins with `source`, the option or
  // environment variable that has the text. An invalid variable must not be ignored or reported as
  // a missing TPM, because the key could then go into a weaker store than the user wants.
  static TctiSpec Parse(std::string_view text, std::string_view source = "tcti");

  std::string str() const { return name + ":" + conf; }

  // Whether this TPM is a simulator, which protects nothing.
  bool is_simulator() const { return name == "swtpm"; }
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TCTI_SPEC_H_
