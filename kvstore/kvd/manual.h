// kvd's manual page, from the table of flags.
#pragma once

#include <string>
#include <string_view>

namespace keel::kvstore {

// kvd(8) in man(7) macros.
std::string Manual(std::string_view version);

}  // namespace keel::kvstore
