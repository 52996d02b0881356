#include "providers/pkcs11/p11_kit_modules.h"

#include <dlfcn.h>

#include <fstream>
#include <iterator>
#include <system_error>

#include "platform/dynamic_library.h"
#include "platform/environment.h"
#include "platform/error.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Where pkcs11.conf(5) has the configuration of modules.
std::vector<fs::path> ConfigDirectories() {
  std::vector<fs::path> directories = {"/usr/share/p11-kit/modules", "/etc/pkcs11/modules"};
  const Environment environment;
  if (const auto config = environment.Get("XDG_CONFIG_HOME"); config && config->starts_with('/')) {
    directories.push_back(fs::path(*config) / "pkcs11/modules");
  } else if (const auto home = environment.Get("HOME"); home && home->starts_with('/')) {
    directories.push_back(fs::path(*home) / ".config/pkcs11/modules");
  }
  return directories;
}

// Where p11-kit looks for modules with relative names: `pkcs11` beside itself, unless it was
// configured otherwise when it was built.
fs::path ModuleDirectory(const void* in_proxy) {
  Dl_info info{};
  if (dladdr(in_proxy, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ignored;
  return fs::canonical(info.dli_fname, ignored).parent_path() / "pkcs11";
}

}  // namespace

bool IsP11KitProxy(std::string_view library) {
  const std::string name = fs::path(library).filename().string();
  return name.starts_with("p11-kit-proxy") || name.starts_with("libp11-kit");
}

void PreloadP11KitModules(const void* in_proxy) {
  const fs::path module_directory = ModuleDirectory(in_proxy);
  for (const fs::path& directory : ConfigDirectories()) {
    std::error_code error;
    for (fs::directory_iterator file(directory, error), end; !error && file != end;
         file.increment(error)) {
      if (file->path().extension() != ".module") continue;
      std::ifstream stream(file->path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(stream), {}};
      const std::optional<std::string> module = ModuleOfP11KitConfig(text);
      if (!module) continue;
      try {
        DynamicLibrary::Open((module_directory / *module).c_str());
      } catch (const DeviceKeyError&) {
        // Not installed, or for another architecture.
      }
    }
  }
}

std::optional<std::string> ModuleOfP11KitConfig(std::string_view text) {
  std::optional<std::string> module;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const size_t colon = line.find(':');
    if (line.starts_with('#') || colon == std::string_view::npos) continue;
    const std::string_view name = Trimmed(line.substr(0, colon));
    const std::string_view value = Trimmed(line.substr(colon + 1));
    if (name == "module" && !value.empty()) module = value;
    if (name == "disable-in" && value.find("p11-kit-proxy") != std::string_view::npos) {
      return std::nullopt;
    }
  }
  return module;
}

}  // namespace device_key
