#include "kvstore/kvctl/password.h"

#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "base/strings.h"

namespace keel::kvctl {

namespace {

// Switches the terminal's echo off while it lives.
class NoEcho {
 public:
  NoEcho() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~NoEcho() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

std::string ReadLine() {
  std::string line;
  std::getline(std::cin, line);
  return line;
}

}  // namespace

std::string AskPassword(const std::string& prompt) {
  std::cout << prompt << std::flush;
  std::string password;
  {
    const NoEcho no_echo;
    password = ReadLine();
  }
  std::cout << "\n";
  return password;
}

Outcome AskNewPassword(const std::string& user, bool interactive, std::string* password) {
  if (!interactive) {
    *password = ReadLine();
    return Success();
  }
  *password = AskPassword(base::StrCat("Password of ", user, ": "));
  if (*password !=
      AskPassword(base::StrCat("Type password of ", user, " again for confirmation: "))) {
    return Fail(kExitBadArgs, "given passwords are different");
  }
  return Success();
}

}  // namespace keel::kvctl
