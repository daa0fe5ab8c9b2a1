#include "kvstore/kvd/supervisor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "base/strings.h"

namespace keel::kvstore {

absl::Status NotifySocket(std::string_view socket_name, std::string_view state) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_name.size() < 2 || socket_name.size() >= sizeof(address.sun_path) ||
      (socket_name[0] != '/' && socket_name[0] != '@')) {
    return absl::InvalidArgumentError(base::StrCat("NOTIFY_SOCKET names no socket: ", socket_name));
  }
  std::memcpy(address.sun_path, socket_name.data(), socket_name.size());
  if (socket_name[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(base::StrCat("socket: ", std::strerror(errno)));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name.size());
  const ssize_t sent = sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address), length);
  const int error = errno;
  close(fd);
  if (sent == static_cast<ssize_t>(state.size())) return absl::OkStatus();
  return absl::UnavailableError(
      base::StrCat("NOTIFY_SOCKET ", socket_name, ": ", std::strerror(error)));
}

void NotifySupervisor(std::string_view state) {
  const char* socket_name = std::getenv("NOTIFY_SOCKET");
  if (socket_name == nullptr || *socket_name == '\0') return;
  const absl::Status sent = NotifySocket(socket_name, state);
  if (!sent.ok()) base::Log().warn("the supervisor was not told: {}", base::ToStd(sent.message()));
}

}  // namespace keel::kvstore
