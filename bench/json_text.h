// JSON for people to read, too: Boost.JSON writes 21499.3 as 2.14993E4.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace keel::bench {

// One line; numbers in plain decimals, to a thousandth.
std::string JsonText(const boost::json::value& value);

}  // namespace keel::bench
