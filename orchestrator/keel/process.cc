#include "orchestrator/keel/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {

absl::StatusOr<pid_t> ProcessLauncher::Launch(const DaemonPlan& plan) {
  if (access(plan.command[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(base::StrCat("no program ", plan.command[0]));
  }
  const int log = open(plan.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return base::ErrnoStatus(errno, base::StrCat("open ", plan.log));
  std::vector<char*> arguments;
  for (const std::string& word : plan.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    const int error = errno;
    close(log);
    return base::ErrnoStatus(error, "fork");
  }
  if (pid == 0) {
    // Only calls that are safe between fork and exec.
    setpgid(0, 0);  // Ctrl-C is for `keel up`, which stops all in order.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(log);
  return pid;
}

void ProcessLauncher::Signal(pid_t pid, int number) { kill(pid, number); }

std::string ProgramOf(pid_t pid) {
  std::error_code error;
  return std::filesystem::read_symlink(base::StrCat("/proc/", pid, "/exe"), error).string();
}

std::string OwnFolder() { return std::filesystem::path(ProgramOf(getpid())).parent_path(); }

std::optional<uint64_t> ProportionalMemoryKib(pid_t pid) {
  std::ifstream file(base::StrCat("/proc/", pid, "/smaps_rollup"));
  std::string word;
  while (file >> word) {
    uint64_t kib = 0;
    if (word == "Pss:" && file >> kib) return kib;
  }
  return std::nullopt;
}

bool PortIsFree(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;  // Cannot tell; the daemon will.
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return is_free;
}

}  // namespace keel::orchestrator
