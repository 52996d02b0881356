// Tests control the stand-ins for Windows DLLs with this.
//
// NCRYPT_STAND_IN names a directory. Each line of its `behaviour.txt`, which is read at every call,
// requests one kind of misbehaviour. These are for all stand-ins:
//   NCryptSignHash=0x80280921   that function fails with that status
//   no-tpm                      there is no TPM: the platform provider opens, other calls fail
//   not-ready                   there is a TPM, but the platform provider is not ready
//   tpm-1.2                     there is a TPM 1.2, which has no ECDSA
//   pause                       every call waits until the line is removed
#ifndef DEVICE_KEY_TEST_WINDOWS_BEHAVIOUR_H_
#define DEVICE_KEY_TEST_WINDOWS_BEHAVIOUR_H_

#include <windows.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

inline std::filesystem::path Home() {
  wchar_t text[1024] = {};
  GetEnvironmentVariableW(L"NCRYPT_STAND_IN", text, 1024);
  return text;
}

inline std::map<std::string, std::string> Behaviour() {
  std::map<std::string, std::string> behaviour;
  std::ifstream file(Home() / "behaviour.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const size_t equals = line.find('=');
    behaviour[line.substr(0, equals)] = equals == std::string::npos ? "" : line.substr(equals + 1);
  }
  return behaviour;
}

inline bool Is(const char* what) { return Behaviour().contains(what); }

// The status after `word=`, or 0.
inline LONG Told(const char* word) {
  const auto behaviour = Behaviour();
  const auto found = behaviour.find(word);
  if (found == behaviour.end() || found->second.empty()) return 0;
  return static_cast<LONG>(std::stoul(found->second, nullptr, 16));
}

inline void AwaitResumption() {
  while (Is("pause")) Sleep(10);
}

#endif  // DEVICE_KEY_TEST_WINDOWS_BEHAVIOUR_H_
