// The part of PKCS#11 that device keys use, under the names of the specification: PKCS #11
// Cryptographic Token Interface Base Specification and Current Mechanisms, version 2.40 (OASIS).
//
// Declared here, because the build needs nothing else of a -dev package: modules are loaded at run
// time.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_CRYPTOKI_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_CRYPTOKI_H_

namespace device_key {

// Base specification, section 2.1: one-byte packing on Windows, natural alignment elsewhere.
#ifdef _WIN32
#pragma pack(push, 1)
#endif

using CK_BYTE = unsigned char;
using CK_BBOOL = CK_BYTE;
using CK_UTF8CHAR = CK_BYTE;
using CK_ULONG = unsigned long;
using CK_FLAGS = CK_ULONG;
using CK_RV = CK_ULONG;
using CK_SLOT_ID = CK_ULONG;
using CK_SESSION_HANDLE = CK_ULONG;
using CK_OBJECT_HANDLE = CK_ULONG;
using CK_OBJECT_CLASS = CK_ULONG;
using CK_KEY_TYPE = CK_ULONG;
using CK_MECHANISM_TYPE = CK_ULONG;
using CK_ATTRIBUTE_TYPE = CK_ULONG;
using CK_USER_TYPE = CK_ULONG;
using CK_STATE = CK_ULONG;

inline constexpr CK_BBOOL CK_TRUE = 1;
inline constexpr CK_BBOOL CK_FALSE = 0;
inline constexpr CK_ULONG CK_UNAVAILABLE_INFORMATION = ~CK_ULONG{0};

struct CK_VERSION {
  CK_BYTE major;
  CK_BYTE minor;
};

struct CK_INFO {
  CK_VERSION cryptokiVersion;
  CK_UTF8CHAR manufacturerID[32];
  CK_FLAGS flags;
  CK_UTF8CHAR libraryDescription[32];
  CK_VERSION libraryVersion;
};

struct CK_TOKEN_INFO {
  CK_UTF8CHAR label[32];
  CK_UTF8CHAR manufacturerID[32];
  CK_UTF8CHAR model[16];
  CK_UTF8CHAR serialNumber[16];
  CK_FLAGS flags;
  CK_ULONG ulMaxSessionCount;
  CK_ULONG ulSessionCount;
  CK_ULONG ulMaxRwSessionCount;
  CK_ULONG ulRwSessionCount;
  CK_ULONG ulMaxPinLen;
  CK_ULONG ulMinPinLen;
  CK_ULONG ulTotalPublicMemory;
  CK_ULONG ulFreePublicMemory;
  CK_ULONG ulTotalPrivateMemory;
  CK_ULONG ulFreePrivateMemory;
  CK_VERSION hardwareVersion;
  CK_VERSION firmwareVersion;
  CK_UTF8CHAR utcTime[16];
};

inline constexpr CK_FLAGS CKF_WRITE_PROTECTED = 0x2;
inline constexpr CK_FLAGS CKF_LOGIN_REQUIRED = 0x4;
inline constexpr CK_FLAGS CKF_USER_PIN_INITIALIZED = 0x8;
inline constexpr CK_FLAGS CKF_PROTECTED_AUTHENTICATION_PATH = 0x100;
inline constexpr CK_FLAGS CKF_TOKEN_INITIALIZED = 0x400;
inline constexpr CK_FLAGS CKF_USER_PIN_COUNT_LOW = 0x10000;
inline constexpr CK_FLAGS CKF_USER_PIN_FINAL_TRY = 0x20000;
inline constexpr CK_FLAGS CKF_USER_PIN_LOCKED = 0x40000;

struct CK_SESSION_INFO {
  CK_SLOT_ID slotID;
  CK_STATE state;
  CK_FLAGS flags;
  CK_ULONG ulDeviceError;
};

inline constexpr CK_STATE CKS_RO_USER_FUNCTIONS = 1;
inline constexpr CK_STATE CKS_RW_USER_FUNCTIONS = 3;
inline constexpr CK_FLAGS CKF_RW_SESSION = 0x2;
inline constexpr CK_FLAGS CKF_SERIAL_SESSION = 0x4;
inline constexpr CK_USER_TYPE CKU_USER = 1;

struct CK_MECHANISM {
  CK_MECHANISM_TYPE mechanism;
  void* pParameter;
  CK_ULONG ulParameterLen;
};

struct CK_MECHANISM_INFO {
  CK_ULONG ulMinKeySize;
  CK_ULONG ulMaxKeySize;
  CK_FLAGS flags;
};

inline constexpr CK_MECHANISM_TYPE CKM_EC_KEY_PAIR_GEN = 0x1040;
inline constexpr CK_MECHANISM_TYPE CKM_ECDSA = 0x1041;

struct CK_ATTRIBUTE {
  CK_ATTRIBUTE_TYPE type;
  void* pValue;
  CK_ULONG ulValueLen;
};

inline constexpr CK_OBJECT_CLASS CKO_PUBLIC_KEY = 2;
inline constexpr CK_OBJECT_CLASS CKO_PRIVATE_KEY = 3;
inline constexpr CK_KEY_TYPE CKK_EC = 3;

inline constexpr CK_ATTRIBUTE_TYPE CKA_CLASS = 0x0;
inline constexpr CK_ATTRIBUTE_TYPE CKA_TOKEN = 0x1;
inline constexpr CK_ATTRIBUTE_TYPE CKA_PRIVATE = 0x2;
inline constexpr CK_ATTRIBUTE_TYPE CKA_LABEL = 0x3;
inline constexpr CK_ATTRIBUTE_TYPE CKA_KEY_TYPE = 0x100;
inline constexpr CK_ATTRIBUTE_TYPE CKA_ID = 0x102;
inline constexpr CK_ATTRIBUTE_TYPE CKA_SENSITIVE = 0x103;
inline constexpr CK_ATTRIBUTE_TYPE CKA_DECRYPT = 0x105;
inline constexpr CK_ATTRIBUTE_TYPE CKA_UNWRAP = 0x107;
inline constexpr CK_ATTRIBUTE_TYPE CKA_SIGN = 0x108;
inline constexpr CK_ATTRIBUTE_TYPE CKA_SIGN_RECOVER = 0x109;
inline constexpr CK_ATTRIBUTE_TYPE CKA_VERIFY = 0x10A;
inline constexpr CK_ATTRIBUTE_TYPE CKA_DERIVE = 0x10C;
inline constexpr CK_ATTRIBUTE_TYPE CKA_EXTRACTABLE = 0x162;
inline constexpr CK_ATTRIBUTE_TYPE CKA_LOCAL = 0x163;
inline constexpr CK_ATTRIBUTE_TYPE CKA_NEVER_EXTRACTABLE = 0x164;
inline constexpr CK_ATTRIBUTE_TYPE CKA_ALWAYS_SENSITIVE = 0x165;
inline constexpr CK_ATTRIBUTE_TYPE CKA_EC_PARAMS = 0x180;
inline constexpr CK_ATTRIBUTE_TYPE CKA_EC_POINT = 0x181;

struct CK_C_INITIALIZE_ARGS {
  CK_RV (*CreateMutex)(void**);
  CK_RV (*DestroyMutex)(void*);
  CK_RV (*LockMutex)(void*);
  CK_RV (*UnlockMutex)(void*);
  CK_FLAGS flags;
  void* pReserved;
};

inline constexpr CK_FLAGS CKF_OS_LOCKING_OK = 0x2;

// Up to the last function that is used; unused members are there only to keep the layout.
struct CK_FUNCTION_LIST {
  using Unused = CK_RV (*)();

  CK_VERSION version;
  CK_RV (*C_Initialize)(void*);
  CK_RV (*C_Finalize)(void*);
  CK_RV (*C_GetInfo)(CK_INFO*);
  Unused C_GetFunctionList;
  CK_RV (*C_GetSlotList)(CK_BBOOL, CK_SLOT_ID*, CK_ULONG*);
  Unused C_GetSlotInfo;
  CK_RV (*C_GetTokenInfo)(CK_SLOT_ID, CK_TOKEN_INFO*);
  Unused C_GetMechanismList;
  CK_RV (*C_GetMechanismInfo)(CK_SLOT_ID, CK_MECHANISM_TYPE, CK_MECHANISM_INFO*);
  Unused C_InitToken;
  Unused C_InitPIN;
  Unused C_SetPIN;
  CK_RV (*C_OpenSession)(CK_SLOT_ID, CK_FLAGS, void*, void*, CK_SESSION_HANDLE*);
  CK_RV (*C_CloseSession)(CK_SESSION_HANDLE);
  CK_RV (*C_CloseAllSessions)(CK_SLOT_ID);
  CK_RV (*C_GetSessionInfo)(CK_SESSION_HANDLE, CK_SESSION_INFO*);
  Unused C_GetOperationState;
  Unused C_SetOperationState;
  CK_RV (*C_Login)(CK_SESSION_HANDLE, CK_USER_TYPE, CK_UTF8CHAR*, CK_ULONG);
  Unused C_Logout;
  Unused C_CreateObject;
  Unused C_CopyObject;
  CK_RV (*C_DestroyObject)(CK_SESSION_HANDLE, CK_OBJECT_HANDLE);
  Unused C_GetObjectSize;
  CK_RV (*C_GetAttributeValue)(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE*, CK_ULONG);
  Unused C_SetAttributeValue;
  CK_RV (*C_FindObjectsInit)(CK_SESSION_HANDLE, CK_ATTRIBUTE*, CK_ULONG);
  CK_RV (*C_FindObjects)(CK_SESSION_HANDLE, CK_OBJECT_HANDLE*, CK_ULONG, CK_ULONG*);
  CK_RV (*C_FindObjectsFinal)(CK_SESSION_HANDLE);
  Unused C_EncryptInit;
  Unused C_Encrypt;
  Unused C_EncryptUpdate;
  Unused C_EncryptFinal;
  Unused C_DecryptInit;
  Unused C_Decrypt;
  Unused C_DecryptUpdate;
  Unused C_DecryptFinal;
  Unused C_DigestInit;
  Unused C_Digest;
  Unused C_DigestUpdate;
  Unused C_DigestKey;
  Unused C_DigestFinal;
  CK_RV (*C_SignInit)(CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE);
  CK_RV (*C_Sign)(CK_SESSION_HANDLE, CK_BYTE*, CK_ULONG, CK_BYTE*, CK_ULONG*);
  Unused C_SignUpdate;
  Unused C_SignFinal;
  Unused C_SignRecoverInit;
  Unused C_SignRecover;
  Unused C_VerifyInit;
  Unused C_Verify;
  Unused C_VerifyUpdate;
  Unused C_VerifyFinal;
  Unused C_VerifyRecoverInit;
  Unused C_VerifyRecover;
  Unused C_DigestEncryptUpdate;
  Unused C_DecryptDigestUpdate;
  Unused C_SignEncryptUpdate;
  Unused C_DecryptVerifyUpdate;
  Unused C_GenerateKey;
  CK_RV(*C_GenerateKeyPair)
  (CK_SESSION_HANDLE, CK_MECHANISM*, CK_ATTRIBUTE*, CK_ULONG, CK_ATTRIBUTE*, CK_ULONG,
   CK_OBJECT_HANDLE*, CK_OBJECT_HANDLE*);
};

using C_GetFunctionListFunction = CK_RV (*)(CK_FUNCTION_LIST**);

#ifdef _WIN32
#pragma pack(pop)
#endif

inline constexpr CK_RV CKR_OK = 0x0;
inline constexpr CK_RV CKR_HOST_MEMORY = 0x2;
inline constexpr CK_RV CKR_SLOT_ID_INVALID = 0x3;
inline constexpr CK_RV CKR_GENERAL_ERROR = 0x5;
inline constexpr CK_RV CKR_FUNCTION_FAILED = 0x6;
inline constexpr CK_RV CKR_CANT_LOCK = 0xA;
inline constexpr CK_RV CKR_ATTRIBUTE_READ_ONLY = 0x10;
inline constexpr CK_RV CKR_ATTRIBUTE_SENSITIVE = 0x11;
inline constexpr CK_RV CKR_ATTRIBUTE_TYPE_INVALID = 0x12;
inline constexpr CK_RV CKR_ATTRIBUTE_VALUE_INVALID = 0x13;
inline constexpr CK_RV CKR_DATA_LEN_RANGE = 0x21;
inline constexpr CK_RV CKR_DEVICE_ERROR = 0x30;
inline constexpr CK_RV CKR_DEVICE_MEMORY = 0x31;
inline constexpr CK_RV CKR_DEVICE_REMOVED = 0x32;
inline constexpr CK_RV CKR_FUNCTION_CANCELED = 0x50;
inline constexpr CK_RV CKR_FUNCTION_NOT_SUPPORTED = 0x54;
inline constexpr CK_RV CKR_KEY_HANDLE_INVALID = 0x60;
inline constexpr CK_RV CKR_MECHANISM_INVALID = 0x70;
inline constexpr CK_RV CKR_OBJECT_HANDLE_INVALID = 0x82;
inline constexpr CK_RV CKR_OPERATION_ACTIVE = 0x90;
inline constexpr CK_RV CKR_OPERATION_NOT_INITIALIZED = 0x91;
inline constexpr CK_RV CKR_PIN_INCORRECT = 0xA0;
inline constexpr CK_RV CKR_PIN_INVALID = 0xA1;
inline constexpr CK_RV CKR_PIN_LEN_RANGE = 0xA2;
inline constexpr CK_RV CKR_PIN_EXPIRED = 0xA3;
inline constexpr CK_RV CKR_PIN_LOCKED = 0xA4;
inline constexpr CK_RV CKR_SESSION_CLOSED = 0xB0;
inline constexpr CK_RV CKR_SESSION_COUNT = 0xB1;
inline constexpr CK_RV CKR_SESSION_HANDLE_INVALID = 0xB3;
inline constexpr CK_RV CKR_TEMPLATE_INCONSISTENT = 0xD1;
inline constexpr CK_RV CKR_TOKEN_NOT_PRESENT = 0xE0;
inline constexpr CK_RV CKR_TOKEN_NOT_RECOGNIZED = 0xE1;
inline constexpr CK_RV CKR_TOKEN_WRITE_PROTECTED = 0xE2;
inline constexpr CK_RV CKR_USER_ALREADY_LOGGED_IN = 0x100;
inline constexpr CK_RV CKR_USER_NOT_LOGGED_IN = 0x101;
inline constexpr CK_RV CKR_USER_PIN_NOT_INITIALIZED = 0x102;
inline constexpr CK_RV CKR_USER_ANOTHER_ALREADY_LOGGED_IN = 0x104;
inline constexpr CK_RV CKR_BUFFER_TOO_SMALL = 0x150;
inline constexpr CK_RV CKR_CRYPTOKI_NOT_INITIALIZED = 0x190;
inline constexpr CK_RV CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191;
inline constexpr CK_RV CKR_FUNCTION_REJECTED = 0x200;
inline constexpr CK_RV CKR_CURVE_NOT_SUPPORTED = 0x140;

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_CRYPTOKI_H_
