// A valid payload.
#ifndef DEVICE_KEY_TEST_BENCH_NATIVE_PAYLOAD_H_
#define DEVICE_KEY_TEST_BENCH_NATIVE_PAYLOAD_H_

#include <cstdint>
#include <string>

namespace device_key::bench {

// The params of `sign` as JSON text, for a key of {"account", "client"}. Times are Unix seconds.
inline std::string SignParamsText(const std::string& key_id, int64_t expires_at) {
  return R"({"keyId":")" + key_id +
         R"(","payload":{"type":"remoteControlClientConnection",)"
         R"("nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",)"
         R"("audience":"remote_control_client_websocket","sessionId":"session",)"
         R"("targetOrigin":"https://chatgpt.com",)"
         R"("targetPath":"/api/codex/remote/control/client",)"
         R"("accountUserId":"account","clientId":"client","tokenExpiresAt":)" +
         std::to_string(expires_at) +
         R"(,"tokenSha256Base64url":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",)"
         R"("scopes":["remote_control_controller_websocket"]}})";
}

}  // namespace device_key::bench

#endif  // DEVICE_KEY_TEST_BENCH_NATIVE_PAYLOAD_H_
