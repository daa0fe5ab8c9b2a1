// CheckLinearizable: the search for an order.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <unordered_set>

#include "base/strings.h"
#include "tests/sim/check/compare.h"
#include "tests/sim/check/linearizability.h"

namespace keel::sim {

using base::StrCat;

namespace {

constexpr int64_t kUnknownRevision = -1;  // of a write whose answer was lost

using State = std::map<std::string, KeyVersion>;

void AppendNumber(int64_t number, std::string* out) {
  out->append(reinterpret_cast<const char*>(&number), sizeof number);
}

std::string Fingerprint(const std::vector<bool>& done, const State& state) {
  std::string text;
  text.reserve(done.size() / 8 + 64);
  for (size_t i = 0; i < done.size(); i += 8) {
    char byte = 0;
    for (size_t bit = 0; bit < 8 && i + bit < done.size(); ++bit) {
      byte = static_cast<char>(byte | (done[i + bit] ? 1 << bit : 0));
    }
    text.push_back(byte);
  }
  for (const auto& [key, kv] : state) {
    AppendNumber(static_cast<int64_t>(key.size()), &text);
    text += key;
    AppendNumber(static_cast<int64_t>(kv.value.size()), &text);
    text += kv.value;
    for (int64_t n : {kv.create_revision, kv.mod_revision, kv.version, kv.lease}) {
      AppendNumber(n, &text);
    }
  }
  return text;
}

bool IsReadOnly(const Operation& op) {
  for (const auto* actions : {&op.then, &op.otherwise}) {
    for (const Action& action : *actions) {
      if (action.type != Action::Type::kGet) return false;
    }
  }
  return true;
}

// True, false, or both possible when it depends on a revision nobody knows.
struct Truth {
  bool can_hold = true;
  bool can_fail = false;
};

Truth Evaluate(const std::vector<Compare>& compares, const State& state) {
  Truth truth;
  for (const Compare& compare : compares) {
    const auto found = state.find(compare.key);
    const KeyVersion* kv = found == state.end() ? nullptr : &found->second;
    if (kv != nullptr &&
        ((compare.target == Compare::Target::kMod && kv->mod_revision == kUnknownRevision) ||
         (compare.target == Compare::Target::kCreate && kv->create_revision == kUnknownRevision))) {
      truth.can_fail = true;
    } else if (!Holds(compare, kv)) {
      truth.can_hold = false;
      truth.can_fail = true;
    }
  }
  return truth;
}

bool SameRevision(int64_t* mine, int64_t seen) {
  if (*mine == kUnknownRevision) *mine = seen;  // now it is known
  return *mine == seen;
}

// What a read returned against the state; learns revisions from it.
bool Matches(const Action& action, const std::vector<KeyVersion>& read, State* state) {
  auto at = state->lower_bound(action.key);
  size_t i = 0;
  for (; at != state->end() && InRange(at->first, action.key, action.range_end); ++at, ++i) {
    if (i >= read.size()) return false;
    KeyVersion& kv = at->second;
    const KeyVersion& seen = read[i];
    if (kv.key != seen.key || kv.value != seen.value || kv.version != seen.version ||
        kv.lease != seen.lease || !SameRevision(&kv.mod_revision, seen.mod_revision) ||
        !SameRevision(&kv.create_revision, seen.create_revision)) {
      return false;
    }
  }
  return i == read.size();
}

// Runs a branch. False when it cannot have given the results. `results` is null
// for an operation without an answer.
bool Run(const std::vector<Action>& actions, const std::vector<ActionResult>* results,
         int64_t revision, State* state) {
  for (size_t i = 0; i < actions.size(); ++i) {
    const Action& action = actions[i];
    const ActionResult* result =
        results != nullptr && i < results->size() ? &(*results)[i] : nullptr;
    switch (action.type) {
      case Action::Type::kPut: {
        const auto [at, fresh] = state->try_emplace(action.key);
        KeyVersion& kv = at->second;
        kv.key = action.key;
        kv.value = action.value;
        kv.lease = action.lease;
        kv.mod_revision = revision;
        kv.version = fresh ? 1 : kv.version + 1;
        if (fresh) kv.create_revision = revision;
        break;
      }
      case Action::Type::kDelete: {
        int64_t deleted = 0;
        auto at = state->lower_bound(action.key);
        while (at != state->end() && InRange(at->first, action.key, action.range_end)) {
          at = state->erase(at);
          ++deleted;
        }
        if (result != nullptr && result->deleted != deleted) return false;
        break;
      }
      case Action::Type::kGet:
        if (result != nullptr && !Matches(action, result->read, state)) return false;
        break;
    }
  }
  return true;
}

// The states that the operation can leave; none when it cannot come next.
std::vector<State> Step(const Operation& op, const State& state) {
  std::vector<State> next;
  const Truth truth = Evaluate(op.compares, state);
  const bool answered = op.outcome == Outcome::kOk;
  for (const bool success : {true, false}) {
    if (!(success ? truth.can_hold : truth.can_fail)) continue;
    if (answered && op.succeeded != success) continue;
    State after = state;
    if (Run(success ? op.then : op.otherwise, answered ? &op.results : nullptr,
            answered ? op.revision : kUnknownRevision, &after)) {
      next.push_back(std::move(after));
    }
  }
  return next;
}

// One set of keys that no operation joins to others.
class Search {
 public:
  Search(std::vector<const Operation*> ops, uint64_t* states_left)
      : ops_(std::move(ops)), states_left_(*states_left) {
    std::stable_sort(ops_.begin(), ops_.end(), [](const Operation* a, const Operation* b) {
      return a->invoked < b->invoked;
    });
    for (const Operation* op : ops_) answered_ += op->outcome == Outcome::kOk;
  }

  Verdict Run() {
    done_.assign(ops_.size(), false);
    std::vector<Frame> stack;
    stack.push_back({State(), {}, 0, SIZE_MAX});
    stack.back().moves = Moves(stack.back().state);
    size_t linearized = 0;
    Deepest(stack, linearized);
    while (!stack.empty()) {
      if (linearized == answered_) return Verdict::Ok();
      Frame& top = stack.back();
      if (top.next == top.moves.size()) {
        if (top.by != SIZE_MAX) {
          done_[top.by] = false;
          linearized -= ops_[top.by]->outcome == Outcome::kOk;
        }
        stack.pop_back();
        continue;
      }
      Move move = std::move(top.moves[top.next++]);
      done_[move.op] = true;
      if (!seen_.insert(Fingerprint(done_, move.state)).second) {
        done_[move.op] = false;
        continue;
      }
      if (states_left_ == 0) {
        return Verdict::GaveUp(
            StrCat("no order found within the bound of states, for ", ops_.size(), " operations"));
      }
      --states_left_;
      linearized += ops_[move.op]->outcome == Outcome::kOk;
      stack.push_back({std::move(move.state), {}, 0, move.op});
      stack.back().moves = Moves(stack.back().state);
      if (linearized > deepest_) Deepest(stack, linearized);
    }
    return Verdict::Violation("linearizable", Explain(), stuck_ids_);
  }

 private:
  struct Move {
    size_t op;
    State state;
  };
  struct Frame {
    State state;
    std::vector<Move> moves;
    size_t next;
    size_t by;  // the operation that led here
  };

  // Which operations may come next: those called before any other that is left returned.
  std::vector<size_t> Candidates() {
    std::vector<size_t> found;
    Nanos bound = kNever;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (ops_[i]->invoked > bound) break;
      if (done_[i]) continue;
      found.push_back(i);
      if (ops_[i]->outcome == Outcome::kOk) bound = std::min(bound, ops_[i]->returned);
    }
    return found;
  }

  std::vector<Move> Moves(const State& state) {
    std::vector<size_t> candidates = Candidates();
    // The store's own order is the best guess; those nobody heard of come last.
    std::stable_sort(candidates.begin(), candidates.end(), [this](size_t a, size_t b) {
      const auto rank = [this](size_t i) {
        const Operation& op = *ops_[i];
        return std::pair(op.outcome == Outcome::kOk ? op.revision : INT64_MAX, IsReadOnly(op));
      };
      return rank(a) < rank(b);
    });
    std::vector<Move> moves;
    for (size_t i : candidates) {
      for (State& after : Step(*ops_[i], state)) moves.push_back({i, std::move(after)});
    }
    return moves;
  }

  void Deepest(const std::vector<Frame>& stack, size_t linearized) {
    deepest_ = linearized;
    deepest_state_ = stack.back().state;
    last_.clear();
    for (size_t i = stack.size(); i-- > 1 && last_.size() < 2;) {
      last_.push_back(ops_[stack[i].by]);
    }
    stuck_.clear();
    for (size_t i : Candidates()) {
      if (ops_[i]->outcome == Outcome::kOk) stuck_.push_back(ops_[i]);
    }
  }

  std::string Explain() {
    std::string text = StrCat("no order of ", ops_.size(), " operations explains the answers. ");
    if (last_.empty()) {
      text += "Starting from the empty store, ";
    } else {
      text += StrCat("The longest one found has ", deepest_, " of them and ends with ",
                     Describe(*last_[0]), "; then the store holds");
      for (const auto& [key, kv] : deepest_state_) text += StrCat(" ", key, "=", kv.value);
      if (deepest_state_.empty()) text += " nothing";
      text += ", and ";
    }
    text += "none of these can be next: ";
    for (size_t i = 0; i < stuck_.size() && i < 3; ++i) {
      text += StrCat(i == 0 ? "" : "; ", Describe(*stuck_[i]));
      stuck_ids_.push_back(stuck_[i]->id);
    }
    if (!last_.empty()) stuck_ids_.push_back(last_[0]->id);
    return text;
  }

  std::vector<const Operation*> ops_;  // by call
  uint64_t& states_left_;
  size_t answered_ = 0;
  std::vector<bool> done_;
  std::unordered_set<std::string> seen_;
  size_t deepest_ = 0;
  State deepest_state_;
  std::vector<const Operation*> last_;
  std::vector<const Operation*> stuck_;
  std::vector<uint64_t> stuck_ids_;
};

// Joins keys that an operation names together.
class Partition {
 public:
  size_t Id(const std::string& key) {
    const auto [at, fresh] = ids_.emplace(key, parents_.size());
    if (fresh) parents_.push_back(parents_.size());
    return at->second;
  }
  size_t Root(size_t id) {
    while (parents_[id] != id) id = parents_[id] = parents_[parents_[id]];
    return id;
  }
  void Join(size_t a, size_t b) { parents_[Root(a)] = Root(b); }
  // All the known keys of a range.
  std::vector<size_t> InRangeOf(const std::string& key, const std::string& range_end) {
    std::vector<size_t> found;
    for (auto at = ids_.lower_bound(key); at != ids_.end(); ++at) {
      if (!InRange(at->first, key, range_end)) break;
      found.push_back(at->second);
    }
    return found;
  }

 private:
  std::map<std::string, size_t> ids_;
  std::vector<size_t> parents_;
};

}  // namespace

Verdict CheckLinearizable(const History& history, const SearchOptions& options) {
  std::vector<const Operation*> ops;
  for (const Operation& op : history) {
    if (op.outcome == Outcome::kFail || op.serializable || op.at_revision > 0) continue;
    if (op.outcome == Outcome::kUnknown && IsReadOnly(op)) continue;
    ops.push_back(&op);
  }
  Partition partition;
  for (const Operation* op : ops) {
    for (const Compare& compare : op->compares) partition.Id(compare.key);
    for (const auto* actions : {&op->then, &op->otherwise}) {
      for (const Action& action : *actions) partition.Id(action.key);
    }
  }
  std::vector<size_t> of_op;
  for (const Operation* op : ops) {
    std::vector<size_t> keys;
    for (const Compare& compare : op->compares) keys.push_back(partition.Id(compare.key));
    for (const auto* actions : {&op->then, &op->otherwise}) {
      for (const Action& action : *actions) {
        keys.push_back(partition.Id(action.key));
        for (size_t id : partition.InRangeOf(action.key, action.range_end)) keys.push_back(id);
      }
    }
    for (size_t id : keys) partition.Join(keys.front(), id);
    of_op.push_back(keys.empty() ? SIZE_MAX : keys.front());
  }
  std::map<size_t, std::vector<const Operation*>> parts;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (of_op[i] != SIZE_MAX) parts[partition.Root(of_op[i])].push_back(ops[i]);
  }
  uint64_t states_left = options.max_states;
  Verdict gave_up;
  for (auto& [root, part] : parts) {
    Verdict v = Search(std::move(part), &states_left).Run();
    if (v.violated()) return v;
    if (v.gave_up()) gave_up = std::move(v);
  }
  return gave_up;
}

}  // namespace keel::sim
