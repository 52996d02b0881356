#include "providers/cng/ncrypt_library.h"

#include "platform/dynamic_library.h"

namespace device_key {
namespace {

NCryptLibrary Load() {
  const DynamicLibrary library = DynamicLibrary::Open("ncrypt.dll");
  NCryptLibrary table{};
  const auto find = [&]<class F>(F& function, const char* name) {
    function = library.Symbol<F>(name);
  };
  find(table.OpenStorageProvider, "NCryptOpenStorageProvider");
  find(table.CreatePersistedKey, "NCryptCreatePersistedKey");
  find(table.OpenKey, "NCryptOpenKey");
  find(table.FinalizeKey, "NCryptFinalizeKey");
  find(table.GetProperty, "NCryptGetProperty");
  find(table.SetProperty, "NCryptSetProperty");
  find(table.ExportKey, "NCryptExportKey");
  find(table.SignHash, "NCryptSignHash");
  find(table.DeleteKey, "NCryptDeleteKey");
  find(table.FreeObject, "NCryptFreeObject");
  return table;
}

}  // namespace

const NCryptLibrary& NCryptLibrary::Get() {
  static const NCryptLibrary table = Load();  // tried again at the next call if it throws
  return table;
}

}  // namespace device_key
