// Runs the scripts of tests/interaction/scripts: lines that start with "> " are
// commands, what follows up to the next command or comment is what they print.
//
//   > nodes 1 2 3 [learners 4] [pre_vote=0 check_quorum=0 max_message_bytes=10 …]
//   > join 5                     a member without a configuration
//   > campaign 1 | propose 1 a b | read 1 7 | transfer 1 3
//   > conf 1 voter 4 learner 5 remove 2 [implicit|explicit]      > leave 1
//   > settle                     deliver messages until nothing moves, and print all that happens
//   > settle quietly
//   > tick 1 5                   member 1, five ticks; "tick all 5"
//   > isolate 3 | lose append 3 (messages of that type to 3) | heal
//   > hold append 3 | copy append 3    keep them (in their place, or beside)
//   > release                          deliver what was kept, and interfere no more
//   > hold-disk 1 | persist 1 (one write) | release-disk 1
//   > hold-apply 1 | release-apply 1
//   > start-with 1 1 1 4 [in 7]        a log with entries of these terms, all durable,
//                                      in the term given or that of the last
//   > unreachable 1 3                  1's transport says so of 3
//   > compact 1 4 (snapshot what is applied, drop entries up to 4) | restart 1 | wipe 1
//   > log 1 | status | progress 1 | applied
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {

class Runner {
 public:
  // Executes one command (without "> ") and returns what it prints.
  std::string Execute(const std::string& line);

 private:
  using Words = std::vector<std::string>;

  void Nodes(const Words& words);
  void Watch(NodeId id);
  void Interfere();
  void Print(const std::string& line);
  void Say(const absl::Status& status);
  ConfChange ParseChange(const Words& words) const;

  std::unique_ptr<Network> net_;
  std::map<NodeId, HardState> hard_states_;
  struct Interference {
    std::string verb, type;
    NodeId to;
  };
  std::vector<Interference> interference_;
  std::vector<Message> kept_;
  bool held_ = false;  // the message at hand
  bool quiet_ = false;
  std::string output_;
};

// A whole script with its output replaced by what the commands print now.
std::string RunScript(const std::string& script);

}  // namespace keel::raft::testing
