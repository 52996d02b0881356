// How the stand-ins for DLLs of Windows are told to misbehave.
//
// NCRYPT_STAND_IN names a directory. `behaviour.txt` in it, read anew at every call, has a line for
// each kind of misbehaviour. Of those, these are for all stand-ins:
//   NCryptSignHash=0x80280921   that function fails with that status
//   no-tpm                      there is none: the platform provider opens, and does nothing else
//   not-ready                   there is one, with which the platform provider does nothing either
//   tpm-1.2                     there is one of the version before, which has no ECDSA
//   pause                       every call waits until the line is gone
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

// The status that stands behind a word, or 0.
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
