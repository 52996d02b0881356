// Writes a seed of tpm_answers_fuzz to standard output: swtpm's responses to ExerciseTpm.
#include <cstdio>

#include "fuzz/tpm_exercise.h"
#include "support/swtpm.h"
#include "support/tpm_server.h"

using namespace device_key;

int main() {
  const testing::SoftwareTpm tpm;
  TpmLine line(tpm.socket_path());
  const TpmServer server([&](ByteView command) {
    const Bytes answer = line.Exchange(command);
    std::putchar(static_cast<int>(answer.size() >> 8));
    std::putchar(static_cast<int>(answer.size() & 0xFF));
    std::fwrite(answer.data(), 1, answer.size(), stdout);
    return answer;
  });
  ExerciseTpm(server.tcti());
}
