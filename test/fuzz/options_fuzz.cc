// The options of DeviceKeyStore.open: the input is their JSON text.
#include "fuzz/oracle.h"
#include "keystore/open_options.h"

using namespace device_key;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto options =
      Accepted({ErrorCode::kInvalidParams}, [&] { return DecodeOpenOptions(Text(data, size)); });
  if (!options) return 0;
  Require(!options->directory.empty(), "there is a directory");
  Require(options->timeout.count() >= 1 && options->timeout.count() <= 3'600'000,
          "timeoutMs is in its range");
  Require(options->queue_limit >= 1 && options->queue_limit <= 1'000'000,
          "queueLimit is in its range");
  Require(options->targets.max_lifetime_seconds >= 1, "maxLifetimeSeconds is positive");
  Require(options->pkcs11_pin.value.has_value() + options->pkcs11_pin.file.has_value() +
                  (options->pkcs11_pin.prompt != nullptr) <=
              1,
          "there is one source of the PIN");
  return 0;
}
