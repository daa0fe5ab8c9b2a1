#include "kvstore/kvctl/run_command.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"

extern char** environ;

namespace keel::kvctl {

std::string RunCommand(const std::vector<std::string>& args,
                       const std::vector<std::pair<std::string, std::string>>& extra) {
  KEEL_CHECK(!args.empty());
  std::vector<std::string> variables;
  for (const auto& [name, value] : extra) variables.push_back(name + "=" + value);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced =
        std::any_of(extra.begin(), extra.end(), [&](const auto& one) { return one.first == name; });
    if (!replaced) variables.emplace_back(text);
  }
  std::vector<char*> argv, envp;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  for (const std::string& variable : variables) envp.push_back(const_cast<char*>(variable.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  // Signals that this process waits for are the child's own affair.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], nullptr, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  if (error == ENOENT && args[0].find('/') == std::string::npos) {
    return base::StrCat("exec: \"", args[0], "\": executable file not found in $PATH");
  }
  if (error != 0) return std::strerror(error);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return std::strerror(errno);
  }
  if (WIFEXITED(status)) {
    return WEXITSTATUS(status) == 0 ? "" : base::StrCat("exit status ", WEXITSTATUS(status));
  }
  return base::StrCat("signal: ", strsignal(WTERMSIG(status)));
}

}  // namespace keel::kvctl
