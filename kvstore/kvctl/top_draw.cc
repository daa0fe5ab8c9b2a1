// TopView as lines for people, and as JSON for scripts.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/top_view.h"

namespace keel::kvctl {

using base::StrCat;

namespace {

// 950, 9.5k, 12k, 3.4M
std::string Short(double value) {
  constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return absl::StrFormat(value < 9.95 && value != std::floor(value) ? "%.1f%s" : "%.0f%s", value,
                         kUnits[unit]);
}

std::string Short(const std::optional<double>& value) {
  return value.has_value() ? Short(*value) : "-";
}

// 250us, 1.2ms, 35ms, 1.5s
std::string Time(const std::optional<double>& seconds) {
  if (!seconds.has_value()) return "-";
  const double us = *seconds * 1e6;
  if (us < 999.5) return absl::StrFormat("%.0fus", us);
  if (us < 9950) return absl::StrFormat("%.1fms", us / 1e3);
  if (us < 999500) return absl::StrFormat("%.0fms", us / 1e3);
  return absl::StrFormat("%.1fs", us / 1e6);
}

std::string Times(const Quantiles& quantiles) {
  if (!quantiles.p50.has_value()) return "-";
  return StrCat(Time(quantiles.p50), "/", Time(quantiles.p99));
}

// Text that a terminal can show, at most `size` characters.
std::string Cell(std::string_view text, size_t size) {
  std::string out = Quote(text);
  out = out.substr(1, out.size() - 2);
  if (out.size() > size) out = out.substr(0, size > 0 ? size - 1 : 0) + "~";
  return out;
}

class Lines {
 public:
  Lines(size_t width, size_t height) : width_(width), left_(height) {}

  void Add(std::string line) {
    if (left_ == 0) return;
    --left_;
    if (line.size() > width_) line.resize(width_);
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text_ += line + "\n";
  }
  size_t left() const { return left_; }
  std::string Take() { return std::move(text_); }

 private:
  const size_t width_;
  size_t left_;
  std::string text_;
};

// Columns as wide as they need to be; the first two to the left.
void AddTable(const std::vector<std::vector<std::string>>& rows, Lines& lines) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string fill(widths[i] - row[i].size(), ' ');
      line += i == 0 ? "" : "  ";
      line += i < 2 ? row[i] + fill : fill + row[i];
    }
    lines.Add(line);
  }
}

std::string Number(const std::optional<double>& value) {
  if (!value.has_value() || !std::isfinite(*value)) return "null";
  return absl::StrFormat("%.6g", *value);
}

std::string Json(const Quantiles& quantiles) {
  return StrCat("{\"p50\":", Number(quantiles.p50), ",\"p99\":", Number(quantiles.p99), "}");
}

}  // namespace

std::string DrawTop(const TopView& view, size_t width, size_t height) {
  Lines lines(width, height);
  lines.Add(absl::StrFormat("%d of %d members up   revision %d", view.up, view.rows.size(),
                            view.revision));
  lines.Add(StrCat("per second: puts ", Short(view.puts), "  deletes ", Short(view.deletes),
                   "  txns ", Short(view.txns), "  gets ", Short(view.gets), "  watch events ",
                   Short(view.watch_events), "  in ", Short(view.received_bytes), "B  out ",
                   Short(view.sent_bytes), "B"));
  lines.Add("");
  std::vector<std::vector<std::string>> table = {
      {"NAME", "ROLE", "TERM", "APPLIED", "LAG", "DB", "IN USE", "GET/s", "EVENT/s", "IN/s",
       "OUT/s", "FSYNC p50/p99", "COMMIT p50/p99", "PEER p50/p99", "STATUS"}};
  for (const MemberRow& row : view.rows) {
    const MemberLook& look = row.look;
    const std::string name =
        Cell(look.name.empty() ? absl::StrFormat("%x", look.id) : look.name, 20);
    if (!look.error.empty() || look.endpoint.empty()) {
      std::vector<std::string> cells(table.front().size());
      cells[0] = name;
      cells[1] = row.role;
      table.push_back(std::move(cells));
      continue;
    }
    table.push_back({name, row.role, StrCat(look.term), StrCat(look.applied), StrCat(row.lag),
                     Short(static_cast<double>(look.db_bytes)) + "B",
                     Short(static_cast<double>(look.db_bytes_in_use)) + "B", Short(row.gets),
                     Short(row.watch_events), Short(row.received_bytes), Short(row.sent_bytes),
                     Times(row.fsync), Times(row.commit), Times(row.round_trip),
                     Time(std::chrono::duration<double>(look.took).count())});
  }
  AddTable(table, lines);
  for (const MemberRow& row : view.rows) {
    const std::string name = Cell(row.look.name, 20);
    if (!row.look.error.empty()) lines.Add(StrCat("! ", name, ": ", Cell(row.look.error, width)));
    for (const std::string& alarm : row.look.alarms) lines.Add(StrCat("! ", name, ": ", alarm));
  }
  lines.Add("");
  if (!view.hot_error.empty()) {
    lines.Add(StrCat("no hot prefixes: ", Cell(view.hot_error, width)));
    return lines.Take();
  }
  if (view.hot.empty()) {
    lines.Add("no writes in the sample");
    return lines.Take();
  }
  std::vector<std::vector<std::string>> hot = {{"WRITTEN MOST", "", "WRITE/s", "SHARE"}};
  for (const HotPrefix& each : view.hot) {
    if (hot.size() >= lines.left()) break;
    hot.push_back({Cell(each.prefix, width > 30 ? width - 25 : 5), "", Short(each.writes),
                   absl::StrFormat("%.0f%%", each.share * 100)});
  }
  AddTable(hot, lines);
  return lines.Take();
}

std::string TopJson(const TopView& view) {
  std::vector<std::string> members, hot;
  for (const MemberRow& row : view.rows) {
    const MemberLook& look = row.look;
    std::string out = absl::StrFormat("{\"id\":\"%x\",", look.id);
    out += StrCat("\"name\":", JsonString(look.name), ",\"endpoint\":", JsonString(look.endpoint),
                  ",\"role\":", JsonString(row.role));
    if (!look.error.empty()) {
      members.push_back(StrCat(out, ",\"error\":", JsonString(look.error), "}"));
      continue;
    }
    std::vector<std::string> alarms;
    for (const std::string& alarm : look.alarms) alarms.push_back(JsonString(alarm));
    out += StrCat(",\"term\":", look.term, ",\"applied\":", look.applied, ",\"lag\":", row.lag,
                  ",\"revision\":", look.revision, ",\"db_bytes\":", look.db_bytes,
                  ",\"db_bytes_in_use\":", look.db_bytes_in_use,
                  ",\"version\":", JsonString(look.version),
                  ",\"status_seconds\":", Number(std::chrono::duration<double>(look.took).count()));
    out += StrCat(",\"gets\":", Number(row.gets), ",\"watch_events\":", Number(row.watch_events),
                  ",\"received_bytes\":", Number(row.received_bytes),
                  ",\"sent_bytes\":", Number(row.sent_bytes), ",\"fsync\":", Json(row.fsync),
                  ",\"commit\":", Json(row.commit), ",\"round_trip\":", Json(row.round_trip),
                  ",\"alarms\":[", absl::StrJoin(alarms, ","), "]}");
    members.push_back(std::move(out));
  }
  for (const HotPrefix& each : view.hot) {
    hot.push_back(StrCat("{\"prefix\":", JsonString(each.prefix), ",\"writes\":",
                         Number(each.writes), ",\"share\":", Number(each.share), "}"));
  }
  return StrCat("{\"up\":", view.up, ",\"revision\":", view.revision,
                ",\"per_second\":{\"puts\":", Number(view.puts),
                ",\"deletes\":", Number(view.deletes), ",\"txns\":", Number(view.txns),
                ",\"gets\":", Number(view.gets), ",\"watch_events\":", Number(view.watch_events),
                ",\"received_bytes\":", Number(view.received_bytes),
                ",\"sent_bytes\":", Number(view.sent_bytes), "},\"members\":[",
                absl::StrJoin(members, ","), "],\"hot_prefixes\":[", absl::StrJoin(hot, ","),
                "],\"hot_prefixes_error\":", JsonString(view.hot_error), "}");
}

}  // namespace keel::kvctl
