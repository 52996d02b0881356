#include <array>
#include <memory>
#include <vector>

#include "keystore/device_key_store.h"
#include "keystore/open_options.h"
#include "keystore/platform_providers.h"
#include "operations.h"
#include "payload.h"
#include "protocol/decode.h"

namespace device_key::bench {
namespace {

class NativeStore {
 public:
  explicit NativeStore(const OpenOptions& options)
      : store_({.directory = options.directory}, PlatformProviders(options)) {
    for (auto& text : texts_) {
      Create();
      text = SignParamsText(last_created_, SystemUnixSeconds() + 600);
    }
  }

  void Sign() { SignText(texts_[0]); }
  void SignAlternating() { SignText(texts_[next_++ % texts_.size()]); }
  void Create() {
    last_created_ =
        store_.Create({"account", "client"}, Limits(), [] { return true; }).key_id.str();
  }

 private:
  static OperationLimits Limits() {
    return {std::chrono::steady_clock::now() + std::chrono::seconds(30)};
  }

  void SignText(const std::string& text) {
    store_.Sign(store_.Prepare(DecodeSignParams(text)), Limits());
  }

  DeviceKeyStore store_;
  std::array<std::string, 16> texts_;  // valid for ten minutes
  size_t next_ = 0;
  std::string last_created_;
};

}  // namespace

Operations NativeStoreOperations(const std::string& tcti, const std::string& directory) {
  OpenOptions options;
  options.directory = directory;
  options.tcti = tcti;
  options.allow_simulator = true;
  const auto store = std::make_shared<NativeStore>(options);
  return {{"sign", [store] { store->Sign(); }},
          {"sign16", [store] { store->SignAlternating(); }},
          {"create", [store] { store->Create(); }}};
}

}  // namespace device_key::bench
