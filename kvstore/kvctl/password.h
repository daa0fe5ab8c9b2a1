// Passwords from the terminal, which does not show them, or from a pipe.
#pragma once

#include <string>

#include "kvstore/kvctl/failure.h"

namespace keel::kvctl {

// One line of standard input, without echo where that is a terminal, after `prompt`.
std::string AskPassword(const std::string& prompt);

// A new password: asked for twice; once, and without a word, when not `interactive`.
Outcome AskNewPassword(const std::string& user, bool interactive, std::string* password);

}  // namespace keel::kvctl
