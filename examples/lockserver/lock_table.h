// The state of the lock server: who holds each lock and who waits for it.
//
//   LockTable table("/var/lib/locks/state");
//   table.on_answer = [](const std::string& id, const std::string& text) { … };
//   table.on_grant = [](const std::string& lock, Index token) { … };
//
// Commands, as the bytes of log entries; `id` names the request, which is
// answered with "granted TOKEN", "renewed", "released" or "error: …":
//
//   ID lock LOCK OWNER     stands in line; answered when it is OWNER's turn
//   ID renew LOCK OWNER    OWNER still wants what it holds
//   ID unlock LOCK OWNER   gives it back, or leaves the line
//   ID leave LOCK REQUEST  takes the request with this id out of the line
//   ID expire LOCK TOKEN   takes it from a holder that did not renew
//
// A token is the index of the log entry that granted the lock: whoever holds a
// lock later has a higher one, so what the lock protects can refuse late
// requests of a former holder ("fencing").
//
// Time is no part of the state: members' clocks differ, and the state must not.
// Who leads decides when to propose `expire`.
//
// Thread-safety: as MemoryStateMachine.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>

#include "raft/driver/memory_state_machine.h"

namespace lockserver {

class LockTable final : public keel::raft::MemoryStateMachine {
 public:
  using Index = keel::raft::Index;
  using MemoryStateMachine::MemoryStateMachine;

  std::function<void(const std::string& id, const std::string& answer)> on_answer;
  // Granted or renewed: its holder's time starts anew.
  std::function<void(const std::string& lock, Index token)> on_grant;

  // "OWNER TOKEN", or "nobody".
  std::string Holder(const std::string& lock) const;

  // MemoryStateMachine.
  void ApplyCommand(const keel::raft::Entry& entry) override;
  std::string Save() const override;
  absl::Status Load(std::string_view saved) override;

 private:
  struct Request {
    std::string owner;
    std::string id;
  };
  struct Lock {
    Index token = 0;
    std::deque<Request> line;  // the first one holds it; never empty
  };

  void Answer(const std::string& id, const std::string& answer) {
    if (on_answer) on_answer(id, answer);
  }
  void Take(const std::string& name, const Request& request, Index index);
  // Takes the request that `drop` picks out of the line. Was it the first, the
  // next one is granted the lock at `index`.
  bool Drop(const std::string& name, const std::function<bool(const Request&)>& drop, Index index);
  void Grant(const std::string& name, Lock& lock);

  std::map<std::string, Lock> locks_;
};

}  // namespace lockserver
