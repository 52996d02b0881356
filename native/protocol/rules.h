// What the values of well-shaped params must be. No clock of its own: callers pass the time.
#ifndef DEVICE_KEY_PROTOCOL_RULES_H_
#define DEVICE_KEY_PROTOCOL_RULES_H_

#include <cstdint>
#include <string_view>

#include "protocol/target_policy.h"
#include "protocol/types.h"

namespace device_key {

// Both ids are to be non-empty and free of NUL. Throws `invalid_params`.
void CheckCreateParams(const CreateParams& params);

// Every rule for a payload but its binding to a key: nonce, ids, digests, scopes, target, expiry.
// Throws `invalid_payload` naming the member.
void CheckSignPayload(const SignPayload& payload, const TargetPolicy& policy,
                      int64_t now_unix_seconds);

// The payload's account and client are to be those the key was enrolled for. Throws
// `binding_mismatch`.
void CheckPayloadBinding(const SignPayload& payload, std::string_view account_user_id,
                         std::string_view client_id);

// The payload is not to have expired. CheckSignPayload includes it; callers repeat it after a wait
// in a queue. Throws `invalid_payload`.
void CheckNotExpired(const SignPayload& payload, int64_t now_unix_seconds);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_RULES_H_
