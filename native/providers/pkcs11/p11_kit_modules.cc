#include "providers/pkcs11/p11_kit_modules.h"

#include <dlfcn.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <map>
#include <system_error>

#include "platform/environment.h"
#include "platform/text_file.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

// The proxy's name in enable-in and disable-in.
constexpr std::string_view kProxy = "p11-kit-proxy";

// The settings of one file, or of several merged files.
using Settings = std::map<std::string, std::string, std::less<>>;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

Settings ReadSettings(const fs::path& file) {
  const std::string text = ReadTextFile(file);
  Settings settings;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t colon = line.find(':');
    if (Trimmed(line).starts_with('#') || colon == std::string_view::npos) continue;
    settings[std::string(Trimmed(line.substr(0, colon)))] = Trimmed(line.substr(colon + 1));
  }
  return settings;
}

std::string_view Setting(const Settings& settings, std::string_view name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string_view() : found->second;
}

// Whether `list` (separated by commas and blanks) contains `name`.
bool Lists(std::string_view list, std::string_view name) {
  constexpr std::string_view kSeparators = ", \t";
  while (!list.empty()) {
    const size_t end = std::min(list.find_first_of(kSeparators), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

bool IsFor(const Settings& settings, std::string_view program) {
  const auto lists_us = [program](std::string_view list) {
    return Lists(list, program) || Lists(list, kProxy);
  };
  // When a file has both, only enable-in counts.
  if (settings.contains("enable-in")) return lists_us(Setting(settings, "enable-in"));
  return !lists_us(Setting(settings, "disable-in"));
}

// Adds the settings of a directory's `.module` files that `modules` does not have yet.
void AddDefaults(std::map<std::string, Settings>& modules, const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator file(directory, error), end; !error && file != end;
       file.increment(error)) {
    if (file->path().extension() == ".module") {
      modules[file->path().stem().string()].merge(ReadSettings(file->path()));
    }
  }
}

std::string ProgramName() {
#if defined(__APPLE__)
  return getprogname();
#else
  return program_invocation_short_name;
#endif
}

}  // namespace

P11KitDirectories P11KitDirectories::OfProcess() {
#if defined(__APPLE__) && defined(__aarch64__)
  P11KitDirectories directories{"/opt/homebrew/share/p11-kit/modules", "/opt/homebrew/etc/pkcs11",
                                std::nullopt};
#elif defined(__APPLE__)
  P11KitDirectories directories{"/usr/local/share/p11-kit/modules", "/usr/local/etc/pkcs11",
                                std::nullopt};
#else
  P11KitDirectories directories{"/usr/share/p11-kit/modules", "/etc/pkcs11", std::nullopt};
#endif
  const Environment environment;
  if (const auto config = environment.Get("XDG_CONFIG_HOME"); config && config->starts_with('/')) {
    directories.user = fs::path(*config) / "pkcs11";
  } else if (const auto home = environment.Get("HOME"); home && home->starts_with('/')) {
    directories.user = fs::path(*home) / ".config/pkcs11";
  }
  return directories;
}

bool RegisteredModule::IsTpm2Pkcs11() const {
  return fs::path(library).filename().string().find("tpm2_pkcs11") != std::string::npos;
}

std::vector<RegisteredModule> RegisteredModules(const P11KitDirectories& directories,
                                                std::string_view program) {
  // user-config is "merge" unless the system's or, where that permits one, the user's file
  // has another value; "override" is its older name for "only".
  std::string user_config(Setting(ReadSettings(directories.system / "pkcs11.conf"), "user-config"));
  if (directories.user && user_config != "none") {
    const Settings own = ReadSettings(*directories.user / "pkcs11.conf");
    if (own.contains("user-config")) user_config = Setting(own, "user-config");
  }
  const bool only_user = user_config == "only" || user_config == "override";

  std::map<std::string, Settings> by_name;
  if (directories.user && user_config != "none") {
    AddDefaults(by_name, *directories.user / "modules");
  }
  if (!only_user) {
    AddDefaults(by_name, directories.system / "modules");
    AddDefaults(by_name, directories.package_modules);
  }

  std::vector<RegisteredModule> modules;
  for (const auto& [name, settings] : by_name) {
    const bool remote = !Setting(settings, "remote").empty();
    const std::string library(Setting(settings, "module"));
    // An empty `module` disables the module that another file of this name registers.
    if ((!remote && library.empty()) || !IsFor(settings, program)) continue;
    modules.push_back({.name = name,
                       .library = remote ? "" : library,
                       .needs_proxy = remote || !Setting(settings, "x-init-reserved").empty()});
  }
  return modules;
}

std::vector<RegisteredModule> RegisteredModules() {
  return RegisteredModules(P11KitDirectories::OfProcess(), ProgramName());
}

bool IsP11KitProxy(std::string_view library) {
  const std::string name = fs::path(library).filename().string();
  return name.starts_with(kProxy) || name.starts_with("libp11-kit");
}

std::string PathOf(const RegisteredModule& module, const void* in_proxy) {
  // `pkcs11` beside p11-kit's library, unless it was built with another configuration.
  Dl_info info{};
  if (module.library.starts_with('/') || dladdr(in_proxy, &info) == 0 ||
      info.dli_fname == nullptr) {
    return module.library;
  }
  std::error_code ignored;
  return fs::canonical(info.dli_fname, ignored).parent_path() / "pkcs11" / module.library;
}

}  // namespace device_key
