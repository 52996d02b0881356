#include "protocol/target_policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "platform/error.h"
#include "protocol/json_reader.h"

namespace device_key {

namespace {

using nlohmann::json;

constexpr std::string_view kWildcard = "*.";

[[noreturn]] void Refuse(const std::string& member, const std::string& expected) {
  throw DeviceKeyError(ErrorCode::kInvalidParams, "targets." + member + ": expected " + expected);
}

struct HostAndPort {
  std::string_view host;
  std::optional<std::string_view> port;
};

HostAndPort SplitPort(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

bool IsHostPattern(std::string_view pattern) {
  auto [text, port] = SplitPort(pattern);
  if (port && !IsCanonicalPort(*port, /*is_https=*/true)) return false;
  if (text.starts_with(kWildcard)) text.remove_prefix(kWildcard.size());
  // Loopback is governed by allowLoopback only.
  return IsHostName(text) && text != "localhost";
}

bool IsPath(std::string_view text) {
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < '\x7f' && c != '?' && c != '#' && c != '\\';
         });
}

std::vector<std::string> DecodeStrings(const std::string& member, const json& value,
                                       bool (*is_valid)(std::string_view),
                                       const std::string& expected) {
  if (!value.is_array()) Refuse(member, "an array");
  std::vector<std::string> strings;
  for (const json& element : value) {
    if (!element.is_string() || !is_valid(element.get_ref<const std::string&>())) {
      Refuse(member + '[' + std::to_string(strings.size()) + ']', expected);
    }
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

bool MatchesHostPattern(const Origin& origin, std::string_view pattern) {
  const auto [host, port] = SplitPort(pattern);
  if (port && origin.port != *port) return false;
  if (!host.starts_with(kWildcard)) return origin.host == host;
  const std::string_view dot_and_parent = host.substr(1);
  return origin.host.size() > dot_and_parent.size() && origin.host.ends_with(dot_and_parent);
}

}  // namespace

TargetPolicy TargetPolicy::Default() {
  return {
      .https_hosts = {"chatgpt.com", "*.chatgpt.com", "chatgpt-staging.com",
                      "*.chatgpt-staging.com"},
      .allow_loopback = true,
      .connection_paths = {"/api/codex/remote/control/client", "/wham/remote/control/client"},
      .enrollment_paths = {"/api/codex/remote/control/client/enroll",
                           "/wham/remote/control/client/enroll"},
      .max_lifetime_seconds = 900,
  };
}

bool TargetPolicy::AllowsOrigin(const Origin& origin) const {
  if (origin.is_loopback) return allow_loopback;
  return origin.is_https &&
         std::any_of(https_hosts.begin(), https_hosts.end(), [&origin](const std::string& pattern) {
           return MatchesHostPattern(origin, pattern);
         });
}

TargetPolicy DecodeTargetPolicy(const json& targets) {
  if (!targets.is_object()) {
    throw DeviceKeyError(ErrorCode::kInvalidParams, "targets: expected an object");
  }
  TargetPolicy policy = TargetPolicy::Default();
  for (const auto& [member, value] : targets.items()) {
    if (member == "httpsHosts") {
      policy.https_hosts = DecodeStrings(
          member, value, IsHostPattern,
          "a host name in lower case, or one behind \"*.\" for its subdomains, and after it \":\" "
          "and a "
          "port other than 443 to allow that port alone; loopback hosts are governed by "
          "allowLoopback");
    } else if (member == "allowLoopback") {
      if (!value.is_boolean()) Refuse(member, "a boolean");
      policy.allow_loopback = value.get<bool>();
    } else if (member == "connectionPaths" || member == "enrollmentPaths") {
      std::vector<std::string>& paths =
          member == "connectionPaths" ? policy.connection_paths : policy.enrollment_paths;
      paths = DecodeStrings(member, value, IsPath,
                            "a path that begins with \"/\", in ASCII, without query and fragment");
    } else if (member == "maxLifetimeSeconds") {
      const std::optional<int64_t> seconds = Int64Value(value);
      if (!seconds || *seconds < 1) Refuse(member, "a positive integer of seconds");
      policy.max_lifetime_seconds = *seconds;
    } else {
      Refuse(member,
             "no such member; there are httpsHosts, allowLoopback, connectionPaths, "
             "enrollmentPaths and maxLifetimeSeconds");
    }
  }
  return policy;
}

}  // namespace device_key
