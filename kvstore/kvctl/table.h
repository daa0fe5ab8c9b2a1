// A table drawn with +, - and |: headings centred, cells to the right.
#pragma once

#include <string>
#include <vector>

namespace keel::kvctl {

using Row = std::vector<std::string>;

// REQUIRES: every row has as many cells as `heading`.
std::string DrawTable(const Row& heading, const std::vector<Row>& rows);

}  // namespace keel::kvctl
