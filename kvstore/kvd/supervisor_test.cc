#include "kvstore/kvd/supervisor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "base/strings.h"

namespace keel::kvstore {
namespace {

// A supervisor's socket under `name`; '@' is an abstract one.
class Listener {
 public:
  explicit Listener(const std::string& name) : name_(name), fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0)
        << std::strerror(errno);
  }
  ~Listener() {
    close(fd_);
    if (name_[0] == '/') unlink(name_.c_str());
  }
  std::string Next() {
    char buffer[256];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    return got < 0 ? "" : std::string(buffer, static_cast<size_t>(got));
  }

 private:
  std::string name_;
  int fd_;
};

TEST(SupervisorTest, TellsPathsAndAbstractNames) {
  for (const std::string prefix : {"/tmp/keel-supervisor-", "@keel-supervisor-"}) {
    const std::string name = base::StrCat(prefix, getpid());
    Listener listener(name);
    ASSERT_TRUE(NotifySocket(name, "READY=1").ok());
    EXPECT_EQ(listener.Next(), "READY=1");
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    NotifySupervisor("STOPPING=1");
    unsetenv("NOTIFY_SOCKET");
    NotifySupervisor("to nobody");
    EXPECT_EQ(listener.Next(), "STOPPING=1");
    EXPECT_EQ(listener.Next(), "");
  }
}

TEST(SupervisorTest, SaysWhenNobodyListensOrTheNameIsNone) {
  EXPECT_EQ(NotifySocket("/tmp/keel-no-such-socket", "READY=1").code(),
            absl::StatusCode::kUnavailable);
  for (const std::string& name :
       {std::string("x"), std::string("relative/path"), "/" + std::string(200, 'x')}) {
    EXPECT_EQ(NotifySocket(name, "READY=1").code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

}  // namespace
}  // namespace keel::kvstore
