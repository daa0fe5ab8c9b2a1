#include "tests/sim/check/history.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/check.h"

namespace keel::sim {
namespace {

using base::StrCat;

std::string Seconds(Nanos at) {
  if (at == kNever) return "never";
  char text[32];
  std::snprintf(text, sizeof text, "%.6fs", static_cast<double>(at) / 1e9);
  return text;
}

std::string RangeText(const std::string& key, const std::string& range_end) {
  return range_end.empty()
             ? key
             : StrCat("[", key, ",", range_end == std::string(1, '\0') ? "∞" : range_end, ")");
}

std::string ActionText(const Action& action) {
  switch (action.type) {
    case Action::Type::kPut:
      return StrCat("put ", action.key, "=", action.value);
    case Action::Type::kDelete:
      return StrCat("delete ", RangeText(action.key, action.range_end));
    case Action::Type::kGet:
      return StrCat("get ", RangeText(action.key, action.range_end));
  }
  return "?";
}

std::string CompareText(const Compare& compare) {
  static constexpr const char* kTargets[] = {"version", "create", "mod", "value", "lease"};
  static constexpr const char* kResults[] = {"=", ">", "<", "!="};
  const bool value = compare.target == Compare::Target::kValue;
  return StrCat(kTargets[static_cast<int>(compare.target)], "(", compare.key, ")",
                kResults[static_cast<int>(compare.result)],
                value ? compare.value : std::to_string(compare.number));
}

std::string ActionsText(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) text += StrCat(text.empty() ? "" : ", ", ActionText(action));
  return text;
}

}  // namespace

bool InRange(std::string_view key, std::string_view first, std::string_view range_end) {
  if (range_end.empty()) return key == first;
  if (key < first) return false;
  return range_end == std::string_view("\0", 1) || key < range_end;
}

Operation PutOperation(std::string key, std::string value, int64_t lease) {
  Operation op;
  op.then.push_back({.type = Action::Type::kPut,
                     .key = std::move(key),
                     .range_end = "",
                     .value = std::move(value),
                     .lease = lease});
  return op;
}

Operation DeleteOperation(std::string key, std::string range_end) {
  Operation op;
  op.then.push_back({.type = Action::Type::kDelete,
                     .key = std::move(key),
                     .range_end = std::move(range_end),
                     .value = ""});
  return op;
}

Operation GetOperation(std::string key, std::string range_end) {
  Operation op;
  op.then.push_back({.type = Action::Type::kGet,
                     .key = std::move(key),
                     .range_end = std::move(range_end),
                     .value = ""});
  return op;
}

Operation CasOperation(std::string key, int64_t mod_revision, std::string value) {
  Operation op = PutOperation(key, std::move(value));
  op.compares.push_back({.key = std::move(key),
                         .target = Compare::Target::kMod,
                         .number = mod_revision,
                         .value = ""});
  return op;
}

std::string Describe(const Operation& op) {
  std::string text;
  if (!op.compares.empty()) {
    text = "if ";
    for (size_t i = 0; i < op.compares.size(); ++i) {
      text += StrCat(i == 0 ? "" : " and ", CompareText(op.compares[i]));
    }
    text += StrCat(" then {", ActionsText(op.then), "} else {", ActionsText(op.otherwise), "}");
  } else {
    text = ActionsText(op.then);
  }
  if (op.at_revision > 0) text += StrCat(" at revision ", op.at_revision);
  if (op.serializable) text += " (serializable)";
  text += StrCat(" (op ", op.id, ", client ", op.client, ", [", Seconds(op.invoked), ", ",
                 Seconds(op.returned), "], ");
  if (op.outcome == Outcome::kFail) return text + "failed)";
  if (op.outcome == Outcome::kUnknown) return text + "outcome unknown)";
  text += StrCat("ok at revision ", op.revision);
  if (!op.compares.empty()) text += op.succeeded ? ", succeeded" : ", compare failed";
  for (size_t i = 0; i < op.results.size() && i < op.Ran().size(); ++i) {
    if (op.Ran()[i].type == Action::Type::kDelete) {
      text += StrCat(", deleted ", op.results[i].deleted);
    } else if (op.Ran()[i].type == Action::Type::kGet) {
      text += ", read";
      if (op.results[i].read.empty()) text += " nothing";
      for (const KeyVersion& kv : op.results[i].read) {
        text += StrCat(" ", kv.key, "=", kv.value, "@", kv.mod_revision);
      }
    }
  }
  return text + ")";
}

Verdict WriteLog::Add(Revision revision) {
  if (revision.revision <= last()) {
    const Revision* known = Find(revision.revision);
    if (known == nullptr || known->writes != revision.writes) {
      return Verdict::Violation(
          "members publish one history",
          StrCat("two members publish revision ", revision.revision,
                 " differently: ", known == nullptr ? 0 : known->writes.size(), " and ",
                 revision.writes.size(), " writes",
                 known != nullptr && !known->writes.empty() && !revision.writes.empty()
                     ? StrCat(", the first of ", known->writes[0].kv.key, "=",
                              known->writes[0].kv.value, " and of ", revision.writes[0].kv.key, "=",
                              revision.writes[0].kv.value)
                     : ""));
    }
    return Verdict::Ok();
  }
  if (revision.revision != last() + 1) {
    return Verdict::Violation("revisions are dense",
                              StrCat("revision ", revision.revision, " is published before ",
                                     last() + 1, " exists on any member"));
  }
  if (revision.writes.empty()) {
    return Verdict::Violation("a revision writes", StrCat("revision ", revision.revision,
                                                          " is published without any write"));
  }
  for (size_t i = 0; i < revision.writes.size(); ++i) {
    by_key_[revision.writes[i].kv.key].emplace_back(revision.revision, i);
  }
  revisions_.push_back(std::move(revision));
  return Verdict::Ok();
}

const Revision* WriteLog::Find(int64_t revision) const {
  if (revision < 2 || revision > last()) return nullptr;
  return &revisions_[static_cast<size_t>(revision - 2)];
}

const KeyVersion* WriteLog::At(const std::string& key, int64_t revision) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto& versions = found->second;
  auto after = std::upper_bound(versions.begin(), versions.end(),
                                std::pair<int64_t, size_t>(revision, SIZE_MAX));
  if (after == versions.begin()) return nullptr;
  --after;
  const Write& write = Find(after->first)->writes[after->second];
  return write.type == Write::Type::kDelete ? nullptr : &write.kv;
}

std::vector<KeyVersion> WriteLog::RangeAt(const std::string& key, const std::string& range_end,
                                          int64_t revision) const {
  std::vector<KeyVersion> found;
  for (auto at = by_key_.lower_bound(key); at != by_key_.end(); ++at) {
    if (!InRange(at->first, key, range_end)) break;
    if (const KeyVersion* kv = At(at->first, revision)) found.push_back(*kv);
  }
  return found;
}

std::vector<int64_t> WriteLog::Touching(const std::string& key, int64_t after, int64_t upto) const {
  std::vector<int64_t> revisions;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return revisions;
  for (const auto& [revision, place] : found->second) {
    if (revision > after && revision <= upto) revisions.push_back(revision);
  }
  return revisions;
}

}  // namespace keel::sim
