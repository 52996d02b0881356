// The permitted addressees of a proof, and its maximum lifetime.
#ifndef DEVICE_KEY_PROTOCOL_TARGET_POLICY_H_
#define DEVICE_KEY_PROTOCOL_TARGET_POLICY_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "protocol/origin.h"

namespace device_key {

struct TargetPolicy {
  // "chatgpt.com" is only that host; "*.chatgpt.com" is every subdomain, at any depth. Each
  // allows any port, or only one port when the pattern names it: "chatgpt.com:8443".
  std::vector<std::string> https_hosts;
  // http and https on localhost, 127.0.0.0/8 and [::1], any port.
  bool allow_loopback = true;
  // Exact paths, one list for each type of payload.
  std::vector<std::string> connection_paths;
  std::vector<std::string> enrollment_paths;
  // The maximum time from now to a proof's expiry.
  int64_t max_lifetime_seconds = 900;

  static TargetPolicy Default();

  bool AllowsOrigin(const Origin& origin) const;
};

// From the JavaScript option `targets`: {httpsHosts?, allowLoopback?, connectionPaths?,
// enrollmentPaths?, maxLifetimeSeconds?}; an absent member takes the default. Throws
// `invalid_params` naming targets.<member>, also for an unknown member: a misspelt
// restriction must not be ignored.
TargetPolicy DecodeTargetPolicy(const nlohmann::json& targets);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_TARGET_POLICY_H_
