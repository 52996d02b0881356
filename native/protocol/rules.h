// The rules for the values of params of the right shape. Reads no clock: callers pass the time.
#ifndef DEVICE_KEY_PROTOCOL_RULES_H_
#define DEVICE_KEY_PROTOCOL_RULES_H_

#include <cstdint>
#include <string_view>

#include "protocol/target_policy.h"
#include "protocol/types.h"

namespace device_key {

// Both ids must be non-empty and must not contain NUL. Throws `invalid_params`.
void CheckCreateParams(const CreateParams& params);

// Every rule for a payload except its binding to a key: nonce, ids, digests, scopes, target,
// expiry. Throws `invalid_payload` naming the member.
void CheckSignPayload(const SignPayload& payload, const TargetPolicy& policy,
                      int64_t now_unix_seconds);

// The payload's account and client must be those that the key was enrolled for. Throws
// `binding_mismatch`.
void CheckPayloadBinding(const SignPayload& payload, std::string_view account_user_id,
                         std::string_view client_id);

// The payload must not have expired. CheckSignPayload includes this check; callers repeat it after
// a wait in a queue. Throws `invalid_payload`.
void CheckNotExpired(const SignPayload& payload, int64_t now_unix_seconds);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_RULES_H_
