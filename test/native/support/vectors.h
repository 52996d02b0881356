// The files under test/vectors. They are found at run time, because a test program may run on
// another machine than it was built on.
#ifndef DEVICE_KEY_SUPPORT_VECTORS_H_
#define DEVICE_KEY_SUPPORT_VECTORS_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace device_key {

// In DEVICE_KEY_TEST_VECTORS, else in test/vectors below the current directory or one of its
// parents.
inline std::filesystem::path VectorsDirectory() {
  if (const char* named = std::getenv("DEVICE_KEY_TEST_VECTORS")) return named;
  for (std::filesystem::path directory = std::filesystem::current_path();;
       directory = directory.parent_path()) {
    const std::filesystem::path vectors = directory / "test" / "vectors";
    if (std::filesystem::exists(vectors)) return vectors;
    if (directory == directory.root_path()) break;
  }
  throw std::runtime_error(
      "no test/vectors here or above: run in the checkout, or set DEVICE_KEY_TEST_VECTORS");
}

inline std::ifstream OpenVectors(const std::string& name) {
  std::ifstream file(VectorsDirectory() / name);
  if (!file) throw std::runtime_error("cannot open the test vectors in " + name);
  return file;
}

}  // namespace device_key

#endif  // DEVICE_KEY_SUPPORT_VECTORS_H_
