#include "tests/sim/check/linearizability.h"

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "tests/sim/check/compare.h"

namespace keel::sim {

using base::StrCat;

// ---- Against the log.

namespace {

std::string KvText(const KeyVersion& kv) {
  return StrCat(kv.key, "=", kv.value, " (created ", kv.create_revision, ", modified ",
                kv.mod_revision, ", version ", kv.version, ", lease ", kv.lease, ")");
}

class RevisionCheck {
 public:
  RevisionCheck(const History& history, const WriteLog& log) : history_(history), log_(log) {}

  Verdict Run() {
    for (const Operation& op : history_) {
      Verdict v = op.outcome == Outcome::kOk ? CheckAnswered(op) : CheckUnanswered(op);
      if (!v.ok()) return v;
    }
    return CheckRealTime();
  }

 private:
  static bool Mutates(const std::vector<Action>& actions) {
    return std::any_of(actions.begin(), actions.end(),
                       [](const Action& a) { return a.type != Action::Type::kGet; });
  }

  // Replays the branch against the state at `before`. What it reads and deletes
  // must be as answered; `writes` collects what it writes.
  Verdict Replay(const Operation& op, int64_t before, int64_t revision,
                 std::vector<Write>* writes) const {
    std::map<std::string, std::optional<KeyVersion>> changed;  // within the transaction
    const auto get = [&](const std::string& key) -> std::optional<KeyVersion> {
      if (const auto own = changed.find(key); own != changed.end()) return own->second;
      const KeyVersion* kv = log_.At(key, before);
      return kv == nullptr ? std::nullopt : std::optional<KeyVersion>(*kv);
    };
    const auto range = [&](const Action& action) {
      std::map<std::string, KeyVersion> found;
      for (KeyVersion& kv : log_.RangeAt(action.key, action.range_end, before)) {
        found[kv.key] = std::move(kv);
      }
      for (const auto& [key, kv] : changed) {
        if (!InRange(key, action.key, action.range_end)) continue;
        if (kv.has_value()) {
          found[key] = *kv;
        } else {
          found.erase(key);
        }
      }
      return found;
    };
    const std::vector<Action>& actions = op.Ran();
    for (size_t i = 0; i < actions.size(); ++i) {
      const Action& action = actions[i];
      const ActionResult* result = i < op.results.size() ? &op.results[i] : nullptr;
      if (action.type == Action::Type::kPut) {
        const std::optional<KeyVersion> old = get(action.key);
        KeyVersion kv{action.key,
                      action.value,
                      old ? old->create_revision : revision,
                      revision,
                      old ? old->version + 1 : 1,
                      action.lease};
        writes->push_back({Write::Type::kPut, kv});
        changed[action.key] = std::move(kv);
        continue;
      }
      const std::map<std::string, KeyVersion> found = range(action);
      if (action.type == Action::Type::kDelete) {
        for (const auto& [key, kv] : found) {
          Write write{Write::Type::kDelete, {}};
          write.kv.key = key;
          write.kv.mod_revision = revision;
          writes->push_back(std::move(write));
          changed[key] = std::nullopt;
        }
        if (result != nullptr && result->deleted != static_cast<int64_t>(found.size())) {
          return Verdict::Violation(
              "deletes what is there",
              StrCat(Describe(op), " says it deleted ", result->deleted, " keys, but at revision ",
                     before, " there were ", found.size()),
              {op.id});
        }
      } else if (result != nullptr) {
        Verdict v = CompareRead(op, before, found, result->read);
        if (!v.ok()) return v;
      }
    }
    return Verdict::Ok();
  }

  Verdict CompareRead(const Operation& op, int64_t at,
                      const std::map<std::string, KeyVersion>& want,
                      const std::vector<KeyVersion>& got) const {
    auto expected = want.begin();
    for (const KeyVersion& kv : got) {
      if (expected != want.end() && expected->second == kv) {
        ++expected;
        continue;
      }
      if (expected != want.end() && expected->first <= kv.key) {
        return WrongRead(op, at, expected->first, &expected->second,
                         expected->first == kv.key ? &kv : nullptr);
      }
      return WrongRead(op, at, kv.key, nullptr, &kv);
    }
    if (expected != want.end()) {
      return WrongRead(op, at, expected->first, &expected->second, nullptr);
    }
    return Verdict::Ok();
  }

  Verdict WrongRead(const Operation& op, int64_t at, const std::string& key, const KeyVersion* want,
                    const KeyVersion* got) const {
    const Operation* writer = want == nullptr ? nullptr : WriterOf(want->mod_revision);
    const std::string by = writer == nullptr ? "" : StrCat(", written by ", Describe(*writer));
    std::vector<uint64_t> ids = {op.id};
    if (writer != nullptr) ids.push_back(writer->id);
    const bool stale = got == nullptr ? want != nullptr
                                      : want != nullptr && got->mod_revision < want->mod_revision;
    return Verdict::Violation(
        stale ? "stale read" : "reads the state at its revision",
        StrCat(Describe(op), " was answered with ",
               got == nullptr ? StrCat("no key ", key) : KvText(*got), ", but at revision ", at,
               " the store holds ", want == nullptr ? StrCat("no key ", key) : KvText(*want), by),
        std::move(ids));
  }

  const Operation* WriterOf(int64_t revision) const {
    const auto found = by_revision_.find(revision);
    return found == by_revision_.end() ? nullptr : found->second;
  }

  Verdict CheckAnswered(const Operation& op) {
    if (op.revision < 1 || op.revision > log_.last()) {
      return Verdict::Violation(
          "answers name revisions that exist",
          StrCat(Describe(op), ", but the store's last revision is ", log_.last()), {op.id});
    }
    // A transaction that writes takes the next revision and sees the one before;
    // one that turns out to write nothing (a delete of nothing) takes none.
    bool wrote = false;
    int64_t seen = op.at_revision > 0 ? op.at_revision : op.revision;
    if (Mutates(op.Ran())) {
      std::vector<Write> writes;
      Operation bare = op;
      bare.results.clear();
      (void)Replay(bare, op.revision, op.revision, &writes);
      const Revision* there = log_.Find(op.revision);
      // Its writes, if it is the one that took the revision.
      std::vector<Write> as_writer;
      (void)Replay(bare, op.revision - 1, op.revision, &as_writer);
      wrote = !as_writer.empty() && there != nullptr && there->writes == as_writer;
      // Deletes look alike: whether it was this one that deleted, its counts tell.
      if (wrote && std::all_of(as_writer.begin(), as_writer.end(),
                               [](const Write& w) { return w.type == Write::Type::kDelete; })) {
        std::vector<Write> ignored;
        wrote = Replay(op, op.revision - 1, op.revision, &ignored).ok();
      }
      if (!wrote && !writes.empty()) {
        return Verdict::Violation(
            "an acknowledged write is in the log",
            StrCat(Describe(op), " is not what the store wrote at revision ", op.revision,
                   there == nullptr || there->writes.empty()
                       ? ""
                       : StrCat(": that was ",
                                there->writes[0].type == Write::Type::kPut ? "a put of "
                                                                           : "a delete of ",
                                there->writes[0].kv.key, "=", there->writes[0].kv.value, " and ",
                                there->writes.size() - 1, " more")),
            {op.id});
      }
      if (wrote) {
        const auto [at, fresh] = by_revision_.emplace(op.revision, &op);
        if (!fresh) {
          return Verdict::Violation("one write a revision",
                                    StrCat("both ", Describe(*at->second), " and ", Describe(op),
                                           " were told that they wrote revision ", op.revision),
                                    {at->second->id, op.id});
        }
        seen = op.revision - 1;
      }
    }
    wrote_[&op] = wrote;
    bool success = true;
    const Compare* decisive = nullptr;
    for (const Compare& compare : op.compares) {
      decisive = &compare;
      success = Holds(compare, log_.At(compare.key, seen));
      if (!success) break;
    }
    if (success != op.succeeded) {
      const KeyVersion* kv = decisive == nullptr ? nullptr : log_.At(decisive->key, seen);
      return Verdict::Violation(
          "compares hold at the revision before",
          StrCat(Describe(op), " should have ", success ? "succeeded" : "failed its compare",
                 ": at revision ", seen, " the store holds ",
                 kv == nullptr ? "no such key" : KvText(*kv)),
          {op.id});
    }
    std::vector<Write> ignored;
    return Replay(op, seen, op.revision, &ignored);
  }

  // A write without an answer may be in the log, by its value; not before its
  // call, not twice, and not at all when it failed.
  Verdict CheckUnanswered(const Operation& op) {
    if (values_.empty()) {
      for (const Revision& revision : log_.revisions()) {
        for (const Write& write : revision.writes) {
          if (write.type == Write::Type::kPut) {
            values_[{write.kv.key, write.kv.value}].push_back(&revision);
          }
        }
      }
    }
    for (const auto* actions : {&op.then, &op.otherwise}) {
      for (const Action& action : *actions) {
        if (action.type != Action::Type::kPut) continue;
        const auto found = values_.find({action.key, action.value});
        if (found == values_.end()) continue;
        const Revision& first = *found->second.front();
        if (op.outcome == Outcome::kFail) {
          return Verdict::Violation(
              "what failed has no effect",
              StrCat(Describe(op), " is in the log at revision ", first.revision), {op.id});
        }
        if (found->second.size() > 1) {
          return Verdict::Violation("written once",
                                    StrCat(Describe(op), " is in the log at revisions ",
                                           first.revision, " and ", found->second[1]->revision),
                                    {op.id});
        }
        if (first.at != 0 && first.at < op.invoked) {
          return Verdict::Violation("not before its call",
                                    StrCat(Describe(op), " is in the log at revision ",
                                           first.revision, ", applied before it was asked"),
                                    {op.id});
        }
      }
    }
    return Verdict::Ok();
  }

  // Sweeps calls and returns in time: the greatest revision returned so far
  // bounds every call from below.
  Verdict CheckRealTime() const {
    struct Event {
      Nanos at;
      bool is_return;
      const Operation* op;
    };
    std::vector<Event> events;
    for (const Operation& op : history_) {
      if (op.outcome != Outcome::kOk || op.at_revision > 0) continue;
      if (!op.serializable) events.push_back({op.invoked, false, &op});
      // What a stale member answers still shows that the revision existed.
      events.push_back({op.returned, true, &op});
    }
    // A call at the very moment of a return may be concurrent with it.
    std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return a.at != b.at ? a.at < b.at : a.is_return < b.is_return;
    });
    std::map<const Operation*, const Operation*> newest_before;
    const Operation* newest = nullptr;
    for (const Event& event : events) {
      if (!event.is_return) {
        newest_before[event.op] = newest;
        continue;
      }
      if (newest == nullptr || event.op->revision > newest->revision) newest = event.op;
    }
    for (const auto& [op, before] : newest_before) {
      if (before == nullptr) continue;
      const auto wrote = wrote_.find(op);
      const bool took = wrote != wrote_.end() && wrote->second;
      if (op->revision < before->revision || (took && op->revision == before->revision)) {
        return Verdict::Violation("real time",
                                  StrCat(Describe(*before), " returned before ", Describe(*op),
                                         " was asked, and yet is not before it in the store"),
                                  {before->id, op->id});
      }
    }
    return Verdict::Ok();
  }

  const History& history_;
  const WriteLog& log_;
  std::map<int64_t, const Operation*> by_revision_;
  std::map<const Operation*, bool> wrote_;
  std::map<std::pair<std::string, std::string>, std::vector<const Revision*>> values_;
};

}  // namespace

Verdict CheckRevisions(const History& history, const WriteLog& log) {
  return RevisionCheck(history, log).Run();
}

}  // namespace keel::sim
