// Faults of a TpmProxy that come at random.
#ifndef DEVICE_KEY_TEST_SUPPORT_RANDOM_FAULTS_H_
#define DEVICE_KEY_TEST_SUPPORT_RANDOM_FAULTS_H_

#include <tss2/tss2_tpm2_types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "support/tpm_proxy.h"

namespace device_key {

// Spoils one answer in five, in one of nine ways. For one proxy.
class RandomFaults {
 public:
  explicit RandomFaults(uint32_t seed) : state_(std::make_shared<State>(seed)) {}

  TpmFault fault() const {
    return [state = state_](ByteView command, const std::function<Bytes()>& forward) {
      if (state->random() % 5 != 0) return std::optional(forward());
      ++state->spoilt;
      return state->kinds[state->random() % state->kinds.size()](command, forward);
    };
  }

  // The number of answers that were spoilt.
  int spoilt() const { return state_->spoilt; }

 private:
  struct State {
    explicit State(uint32_t seed)
        : random(seed),
          kinds{faults::DropAnswer(),
                faults::CloseConnection(),
                faults::Refuse(TPM2_RC_FAILURE),
                faults::Refuse(TPM2_RC_OBJECT_MEMORY),
                faults::Misreport(TPM2_RC_FAILURE),
                faults::Truncate(5),
                faults::Append(5),
                faults::ChangeHandle(),
                faults::ChangeRandomByte(seed)} {}

    std::mt19937 random;  // used by the proxy's thread
    const std::vector<TpmFault> kinds;
    std::atomic<int> spoilt = 0;
  };

  std::shared_ptr<State> state_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_SUPPORT_RANDOM_FAULTS_H_
