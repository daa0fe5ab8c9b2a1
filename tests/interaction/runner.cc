#include "tests/interaction/runner.h"

#include <sstream>
#include <utility>

#include "base/check.h"
#include "tests/interaction/describe.h"

namespace keel::raft::testing {
namespace {

NodeId Id(const std::string& word) { return std::stoull(word); }

void Set(Config& config, const std::string& key, uint64_t value) {
  if (key == "pre_vote")
    config.pre_vote = value != 0;
  else if (key == "check_quorum")
    config.check_quorum = value != 0;
  else if (key == "lease_reads")
    config.lease_reads = value != 0;
  else if (key == "max_message_bytes")
    config.max_message_bytes = value;
  else if (key == "max_inflight_messages")
    config.max_inflight_messages = value;
  else if (key == "max_inflight_bytes")
    config.max_inflight_bytes = value;
  else if (key == "max_uncommitted_bytes")
    config.max_uncommitted_bytes = value;
  else if (key == "disk_stall_ticks")
    config.disk_stall_ticks = value;
  else
    KEEL_CHECK(false, "unknown option ", key);
}

}  // namespace

void Runner::Print(const std::string& line) {
  if (!quiet_) output_ += line + "\n";
}

void Runner::Say(const absl::Status& status) {
  if (!status.ok()) Print(base::StrCat("error: ", status.message()));
}

void Runner::Nodes(const Words& words) {
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;
  std::vector<NodeId>* list = &voters;
  Config config;
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (words[i] == "learners") {
      list = &learners;
    } else if (equals != std::string::npos) {
      Set(config, words[i].substr(0, equals), std::stoull(words[i].substr(equals + 1)));
    } else {
      list->push_back(Id(words[i]));
    }
  }
  net_ = std::make_unique<Network>(voters, learners, config);
  for (NodeId id : net_->ids()) Watch(id);
  net_->on_message = [this](const Message& m, bool lost) {
    Print(Describe(m) + (!lost ? "" : held_ ? " (held)" : " (lost)"));
  };
  Interfere();
}

// What `lose`, `hold` and `copy` asked for.
void Runner::Interfere() {
  net_->drop = [this](const Message& m) {
    const std::string text = Describe(m);
    held_ = false;
    for (const auto& [verb, type, to] : interference_) {
      if (m.to != to || (text + " ").find(" " + type + " ") == std::string::npos) continue;
      if (verb != "lose") kept_.push_back(m);
      held_ = verb == "hold";
      if (verb != "copy") return true;
    }
    return false;
  };
}

void Runner::Watch(NodeId id) {
  (*net_)[id].on_ready = [this, id](const Ready& ready) {
    const std::string text = Describe(id, net_->raft(id).term(), ready, &hard_states_[id]);
    if (!quiet_) output_ += text;
  };
  (*net_)[id].on_conf = [this, id](const ConfState& conf) {
    Print(base::StrCat(id, " applies ", Describe(conf)));
  };
}

ConfChange Runner::ParseChange(const Words& words) const {
  ConfChange change;
  for (size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "implicit") {
      change.transition = ConfChange::Transition::kJointImplicit;
    } else if (words[i] == "explicit") {
      change.transition = ConfChange::Transition::kJointExplicit;
    } else {
      const auto type = words[i] == "voter"    ? ConfChangeSingle::Type::kAddVoter
                        : words[i] == "remove" ? ConfChangeSingle::Type::kRemove
                                               : ConfChangeSingle::Type::kAddLearner;
      change.changes.push_back({type, Id(words.at(++i))});
    }
  }
  return change;
}

std::string Runner::Execute(const std::string& line) {
  output_.clear();
  std::istringstream stream(line);
  Words words{std::istream_iterator<std::string>(stream), {}};
  const std::string verb = words.at(0);
  if (verb == "nodes") {
    Nodes(words);
    return output_;
  }
  KEEL_CHECK(net_ != nullptr, "the first command is nodes");
  const NodeId id = words.size() > 1 && isdigit(words[1][0]) ? Id(words[1]) : kNoNode;
  if (verb == "settle") {
    quiet_ = words.size() > 1;
    net_->Settle();
    quiet_ = false;
  } else if (verb == "join") {
    net_->Join(id);
    Watch(id);
  } else if (verb == "campaign") {
    net_->raft(id).Campaign();
  } else if (verb == "propose") {
    for (size_t i = 2; i < words.size(); ++i) Say(net_->raft(id).Propose(Data(words[i])));
  } else if (verb == "read") {
    Say(net_->raft(id).ReadIndex(std::stoull(words.at(2))));
  } else if (verb == "transfer") {
    Say(net_->raft(id).TransferLeadership(Id(words.at(2))));
  } else if (verb == "conf") {
    Say(net_->raft(id).ProposeConfChange(ParseChange(words)));
  } else if (verb == "leave") {
    Say(net_->raft(id).ProposeConfChange({}));
  } else if (verb == "tick") {
    for (int i = std::stoi(words.at(2)); i > 0; --i) {
      for (NodeId each : net_->ids()) {
        if (id == kNoNode || each == id) net_->raft(each).Tick();
      }
    }
  } else if (verb == "isolate") {
    net_->Isolate(id);
  } else if (verb == "lose" || verb == "hold" || verb == "copy") {
    interference_.push_back({verb, words.at(1), Id(words.at(2))});
  } else if (verb == "release") {
    interference_.clear();
    for (Message& m : std::exchange(kept_, {})) net_->Post(std::move(m));
  } else if (verb == "heal") {
    interference_.clear();
    net_->Heal();
    Interfere();
  } else if (verb == "unreachable") {
    net_->raft(id).ReportUnreachable(Id(words.at(2)));
  } else if (verb == "start-with") {
    std::vector<Term> terms;
    size_t i = 2;
    for (; i < words.size() && words[i] != "in"; ++i) terms.push_back(std::stoull(words[i]));
    (*net_)[id].StartWith(terms, i < words.size() ? std::stoull(words.at(i + 1)) : terms.back());
    hard_states_[id] = net_->raft(id).GetStatus().hard_state;
  } else if (verb == "hold-apply") {
    (*net_)[id].hold_apply = true;
  } else if (verb == "release-apply") {
    (*net_)[id].hold_apply = false;
  } else if (verb == "hold-disk") {
    (*net_)[id].hold_disk = true;
  } else if (verb == "release-disk") {
    (*net_)[id].hold_disk = false;
  } else if (verb == "persist") {
    (*net_)[id].PersistOne();
  } else if (verb == "compact") {
    (*net_)[id].Compact(std::stoull(words.at(2)));
  } else if (verb == "restart") {
    (*net_)[id].Restart();
  } else if (verb == "wipe") {
    (*net_)[id].Wipe();
    hard_states_[id] = {};
  } else if (verb == "log") {
    const MemoryLog& log = (*net_)[id].log();
    if (log.FirstIndex() > 1) Print(base::StrCat("compacted up to ", log.FirstIndex() - 1));
    for (const Entry& entry : log.entries()) Print(Describe(entry));
  } else if (verb == "status") {
    for (NodeId each : net_->ids()) {
      const Status status = net_->raft(each).GetStatus();
      Print(base::StrCat(each, " ", Describe(status.soft_state, status.hard_state.term),
                         ", commit ", status.hard_state.commit, ", ", Describe(status.conf)));
    }
  } else if (verb == "progress") {
    for (const PeerProgress& peer : net_->raft(id).GetStatus().progress) Print(Describe(peer));
  } else if (verb == "applied") {
    for (NodeId each : net_->ids()) {
      std::string text = base::StrCat(each, ":");
      for (const std::string& data : (*net_)[each].applied) text += " " + data;
      Print(text);
    }
  } else {
    KEEL_CHECK(false, "unknown command: ", line);
  }
  return output_;
}

std::string RunScript(const std::string& script) {
  Runner runner;
  std::istringstream in(script);
  std::string out;
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("> ")) {
      out += line + "\n" + runner.Execute(line.substr(2));
    } else if (line.empty() || line.starts_with("#")) {
      out += line + "\n";
    }
  }
  return out;
}

}  // namespace keel::raft::testing
