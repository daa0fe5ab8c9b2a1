// What a simulation knows that no member does: everything that was sent,
// appended, applied and promised. Collects the checkers and the first failure.
//
//   Oracle oracle(&world, conf);
//   oracle.raft().OnSent(message);
//   oracle.Check();                  // after each step: takes over the checkers' verdicts
//   if (oracle.failed()) report(oracle.failure());
//
// Thread-safety: none.
#pragma once

#include <map>
#include <string>

#include "tests/sim/check/raft_check.h"
#include "tests/sim/world.h"

namespace keel::sim {

struct Failure {
  std::string rule;
  std::string text;
  Nanos at = 0;
};

class Oracle {
 public:
  Oracle(World* world, raft::ConfState first) : world_(*world), raft_(std::move(first)) {}

  RaftChecker& raft() { return raft_; }
  WriteLog& writes() { return writes_; }

  // The first failure stays.
  void Fail(std::string rule, std::string text);
  void Judge(const Verdict& verdict) {
    if (verdict.violated()) Fail(verdict.rule, verdict.text);
  }
  void Check() {
    if (!failed_ && !raft_.verdict().ok()) Judge(raft_.verdict());
  }
  bool failed() const { return failed_; }
  const Failure& failure() const { return failure_; }

  // A client was told that its write is at this index.
  void OnAcknowledged(raft::Index index) {
    if (index > acknowledged_) acknowledged_ = index;
  }
  raft::Index acknowledged() const { return acknowledged_; }

 private:
  World& world_;
  RaftChecker raft_;
  WriteLog writes_;
  raft::Index acknowledged_ = 0;
  bool failed_ = false;
  Failure failure_;
};

}  // namespace keel::sim
