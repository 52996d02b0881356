// A separate SoftHSM for a test: one real PKCS#11 token, as files in a directory under /tmp.
#ifndef DEVICE_KEY_TEST_SUPPORT_SOFTHSM_H_
#define DEVICE_KEY_TEST_SUPPORT_SOFTHSM_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace device_key::testing {

inline constexpr char kSoftHsmModule[] = "/usr/lib/softhsm/libsofthsm2.so";

// While the object exists, this process and its child processes see the token.
class SoftHsm {
 public:
  static constexpr char kPin[] = "1234";

  SoftHsm() {
    char path[] = "/tmp/dk-softhsm-XXXXXX";
    if (::mkdtemp(path) == nullptr) throw std::runtime_error("mkdtemp failed");
    directory_ = path;
    std::filesystem::create_directory(directory_ / "tokens");
    const std::filesystem::path configuration = directory_ / "softhsm2.conf";
    std::ofstream(configuration) << "directories.tokendir = " << (directory_ / "tokens").string()
                                 << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    ::setenv("SOFTHSM2_CONF", configuration.c_str(), 1);
    const std::string command =
        std::string("softhsm2-util --init-token --free --label token --pin ") + kPin +
        " --so-pin 12345678 >/dev/null";
    if (std::system(command.c_str()) != 0) {
      std::filesystem::remove_all(directory_);
      throw std::runtime_error("softhsm2-util failed (is softhsm2 installed?)");
    }
  }
  ~SoftHsm() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  SoftHsm(const SoftHsm&) = delete;
  SoftHsm& operator=(const SoftHsm&) = delete;

  // SoftHSM's description of the token, with its PIN.
  std::string ReadTokenFile() const {
    std::ifstream file(TokenDirectory() / "token.object", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // As another process does: that also increments the number by which the others notice it.
  void WriteTokenFile(const std::string& content) const {
    std::ofstream(TokenDirectory() / "token.object", std::ios::binary) << content;
    std::fstream generation(TokenDirectory() / "generation",
                            std::ios::in | std::ios::out | std::ios::binary);
    generation.seekg(7);  // the last of eight bytes
    const int number = generation.get();
    generation.seekp(7);
    generation.put(static_cast<char>(number + 1));
  }

 private:
  std::filesystem::path TokenDirectory() const {
    const std::filesystem::directory_iterator tokens(directory_ / "tokens");
    return begin(tokens)->path();
  }

  std::filesystem::path directory_;
};

}  // namespace device_key::testing

#endif  // DEVICE_KEY_TEST_SUPPORT_SOFTHSM_H_
