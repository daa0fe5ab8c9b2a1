#include "kvstore/kvctl/table.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/check.h"

namespace keel::kvctl {
namespace {

// Columns on a screen: the characters of UTF-8 text.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string DrawTable(const Row& heading, const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const std::string& cell : heading) widths.push_back(Width(cell));
  for (const Row& row : rows) {
    KEEL_CHECK(row.size() == heading.size(), "a row of ", row.size(), " cells");
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string rule = "+";
  for (const size_t width : widths) rule += std::string(width + 2, '-') + "+";
  rule += "\n";

  std::string out = rule + "|";
  for (size_t i = 0; i < heading.size(); ++i) {
    std::string title = heading[i];
    for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const size_t gap = widths[i] - Width(title);
    out += " " + std::string(gap / 2, ' ') + title + std::string(gap - gap / 2, ' ') + " |";
  }
  out += "\n" + rule;
  for (const Row& row : rows) {
    out += "|";
    for (size_t i = 0; i < row.size(); ++i) {
      out += " " + std::string(widths[i] - Width(row[i]), ' ') + row[i] + " |";
    }
    out += "\n";
  }
  return rows.empty() ? out : out + rule;
}

}  // namespace keel::kvctl
