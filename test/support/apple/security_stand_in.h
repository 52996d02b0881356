// Stands in for Security.framework and CoreFoundation on Linux: keys are OpenSSL's, and a test
// decides how the "Mac" behaves.
#ifndef DEVICE_KEY_TEST_SUPPORT_APPLE_SECURITY_STAND_IN_H_
#define DEVICE_KEY_TEST_SUPPORT_APPLE_SECURITY_STAND_IN_H_

#include <Security/Security.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace device_key::stand_in {

struct Answer {
  CFIndex code;
  std::string domain = "NSOSStatusErrorDomain";
  std::optional<int64_t> enclave_status = std::nullopt;  // "AKSError" in the error's details
};

struct AccessListEntry {
  bool allows;
  uint64_t permissions;  // ACL_WRITE_DATA and so on
};

// The state of the Mac; `Reset` restores these defaults.
struct Mac {
  bool has_enclave = true;
  bool entitled = true;       // the host executable
  bool gives_wrapped = true;  // the attribute "toid"
  bool exports_keys = false;  // although it was asked not to
  // Real Macs export the software keys of the data-protection keychain regardless of their
  // attributes.
  bool keeps_software_keys = false;
  bool has_local_authentication = true;
  bool has_default_keychain = true;               // a login keychain for new keys
  std::vector<AccessListEntry> access_list = {};  // of every file and directory
  bool signs_wrongly = false;
  bool mints_on_open = false;          // SecKeyCreateWithData ignores the wrapped key
  bool ignores_token = false;          // makes enclave keys in software
  std::string serial = "mac-1";        // a wrapped key works only on its Mac
  std::chrono::milliseconds delay{0};  // of key creation and signing
  // By function: the answers to its next calls, which replace its work.
  std::map<std::string, std::vector<Answer>> answers;
  bool finds_something_else = false;    // SecItemCopyMatching returns an item that is not a key
  bool refuses_access_control = false;  // -25293 to software keys that have one
};

void Reset();
void Change(const std::function<void(Mac&)>& change);
void Answers(const std::string& function, std::vector<Answer> answers);

size_t LiveObjects();                         // CoreFoundation objects that are not released
std::vector<std::string> KeychainTags();      // of the private keys in the data-protection keychain
std::vector<std::string> FileKeychainTags();  // and in the login keychain
size_t Prompts();                             // how often a person was asked
std::vector<SecAccessControlCreateFlags> CreatedFlags();  // of each access control made
size_t Calls(const std::string& function);

// Of an LAContext.
bool IsConfirmed(CFTypeRef context);
void Confirm(CFTypeRef context);

}  // namespace device_key::stand_in

#endif  // DEVICE_KEY_TEST_SUPPORT_APPLE_SECURITY_STAND_IN_H_
