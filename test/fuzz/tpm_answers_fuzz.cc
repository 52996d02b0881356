// A TPM with arbitrary responses. The input is the responses, one after the other, each with its
// length as a prefix of two bytes (big-endian). They go through a socket and tpm2-tss, like
// swtpm's.
//
// tpm2-tss is the system's library and not instrumented: libFuzzer sees only what our own code does
// with the data that tpm2-tss has parsed.
#include <algorithm>
#include <mutex>

#include "fuzz/oracle.h"
#include "fuzz/tpm_exercise.h"
#include "support/tpm_server.h"

using namespace device_key;

namespace {

class Answers {
 public:
  void Reset(ByteView input) {
    const std::lock_guard lock(mutex_);
    left_ = input;
  }

  // The next response. Empty, which closes the connection, at the end of the input and for a length
  // beyond it: waiting for the rest would take the whole time limit.
  Bytes Next() {
    const std::lock_guard lock(mutex_);
    if (left_.size() < 2) return {};
    const size_t size = std::min<size_t>(left_[0] << 8 | left_[1], left_.size() - 2);
    const ByteView answer = left_.subspan(2, size);
    left_ = left_.subspan(2 + size);
    constexpr size_t kHeaderSize = 10;
    if (size < kHeaderSize) return {};
    const size_t announced =
        static_cast<size_t>(answer[2]) << 24 | answer[3] << 16 | answer[4] << 8 | answer[5];
    if (announced > size && announced <= 4096) return {};
    return Bytes(answer.begin(), answer.end());
  }

 private:
  std::mutex mutex_;
  ByteView left_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Answers& answers = *new Answers;
  static TpmServer& server = *new TpmServer([](ByteView) { return answers.Next(); });
  answers.Reset({data, size});
  ExerciseTpm(server.tcti());
  answers.Reset({});
  return 0;
}
