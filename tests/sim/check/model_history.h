// Histories that are right by construction, for tests of the checkers: a
// sequential store, with each operation's call and return drawn around the
// moment it took effect.
#pragma once

#include <random>
#include <string>

#include "tests/sim/check/history.h"

namespace keel::sim {

struct ModelHistory {
  History history;
  WriteLog log;
};

struct ModelOptions {
  size_t operations = 60;
  size_t keys = 3;
  uint32_t unknown_percent = 10;
  uint32_t fail_percent = 5;
  uint32_t wide_percent = 10;  // ranges and transactions over several keys
  Nanos overlap = 35;          // operations take effect every 10
};

inline ModelHistory MakeHistory(uint64_t seed, const ModelOptions& options = {}) {
  std::mt19937_64 rng(seed);
  const auto random = [&](uint64_t n) { return n == 0 ? 0 : rng() % n; };
  const auto key = [&] { return std::string(1, static_cast<char>('a' + random(options.keys))); };
  ModelHistory made;
  for (size_t i = 1; i <= options.operations; ++i) {
    const Nanos at = static_cast<Nanos>(i) * 10 + 1000;
    const std::string value = "v" + std::to_string(i);
    const int64_t before = made.log.last();
    Operation op;
    const std::string k = key();
    const KeyVersion* present = made.log.At(k, before);
    if (random(100) < options.wide_percent) {
      op = random(2) == 0 ? GetOperation("a", "z") : PutOperation(k, value);
      if (op.then[0].type == Action::Type::kPut) {
        op.compares.push_back({.key = key(),
                               .target = Compare::Target::kVersion,
                               .result = Compare::Result::kGreater,
                               .number = 0,
                               .value = ""});
        std::string other = key();
        if (other != k) op.then.push_back(PutOperation(other, value + "x").then[0]);
        op.otherwise = GetOperation(k).then;
      }
    } else {
      switch (random(6)) {
        case 0:
        case 1:
          op = PutOperation(k, value);
          break;
        case 2:
          op = DeleteOperation(k);
          break;
        case 3:
          op = CasOperation(k, random(3) == 0 || present == nullptr ? 0 : present->mod_revision,
                            value);
          op.otherwise = GetOperation(k).then;
          break;
        default:
          op = GetOperation(k);
      }
    }
    op.id = i;
    op.client = random(5);
    op.invoked = at - static_cast<Nanos>(random(static_cast<uint64_t>(options.overlap)));
    op.returned = at + static_cast<Nanos>(random(static_cast<uint64_t>(options.overlap)));
    const uint64_t fate = random(100);
    const bool fails = fate < options.fail_percent;
    const bool lost = !fails && fate < options.fail_percent + options.unknown_percent;
    if (!fails && !(lost && random(2) == 0)) {
      // It takes effect.
      for (const Compare& compare : op.compares) {
        const KeyVersion* kv = made.log.At(compare.key, before);
        if (compare.target == Compare::Target::kMod) {
          op.succeeded = op.succeeded && (kv == nullptr ? 0 : kv->mod_revision) == compare.number;
        } else {
          op.succeeded = op.succeeded && kv != nullptr;
        }
      }
      Revision revision{.revision = before + 1, .writes = {}, .at = at};
      for (const Action& action : op.Ran()) {
        ActionResult result;
        if (action.type == Action::Type::kGet) {
          result.read = made.log.RangeAt(action.key, action.range_end, before);
        } else if (action.type == Action::Type::kPut) {
          const KeyVersion* old = made.log.At(action.key, before);
          revision.writes.push_back(
              {Write::Type::kPut,
               {action.key, action.value, old ? old->create_revision : before + 1, before + 1,
                old ? old->version + 1 : 1, action.lease}});
        } else if (made.log.At(action.key, before) != nullptr) {
          result.deleted = 1;
          revision.writes.push_back({Write::Type::kDelete, {action.key, "", 0, before + 1, 0, 0}});
        }
        op.results.push_back(std::move(result));
      }
      if (!revision.writes.empty()) (void)made.log.Add(std::move(revision));
      op.revision = made.log.last();
    }
    op.outcome = fails ? Outcome::kFail : lost ? Outcome::kUnknown : Outcome::kOk;
    if (lost) {
      op.returned = kNever;
      op.revision = 0;
      op.succeeded = true;
      op.results.clear();
    }
    made.history.push_back(std::move(op));
  }
  return made;
}

}  // namespace keel::sim
