#include "durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "platform/unique_fd.h"

namespace device_key::bench {
namespace {

void Check(bool succeeded) {
  if (!succeeded) throw std::system_error(errno, std::generic_category(), "a durable file");
}

}  // namespace

void WriteDurableFile(const std::string& directory, std::string_view contents) {
  static int number = 0;
  const std::string temporary = directory + "/temporary";
  const std::string name = directory + "/record-" + std::to_string(++number);
  const UniqueFd parent(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  Check(parent.valid() && file.valid());
  Check(write(file.get(), contents.data(), contents.size()) ==
        static_cast<ssize_t>(contents.size()));
  Check(fsync(file.get()) == 0);
  Check(rename(temporary.c_str(), name.c_str()) == 0);
  Check(fsync(parent.get()) == 0);
}

}  // namespace device_key::bench
