// Requests that only the leader can answer, from any member: answered here
// when this member leads, else sent to the leader, and asked again when the
// answer stays away or the leader changes, until the request's time is up.
//
//   calls.Handle(PeerRequest::LEASE_KEEP_ALIVE, [](std::string_view body, Reply reply) { ... });
//   calls.Ask(PeerRequest::LEASE_KEEP_ALIVE, bytes, [](absl::StatusOr<std::string> body) { ... });
//
// A request may be carried out more than once: handlers are idempotent. The
// leader answers with all that the asking member had applied, so that a client
// sees its own writes.
//
// Thread-safety: everything on the server's loop, where `done` and handlers
// run too; a Reply may be called from any thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "kvstore/server/context.h"
#include "kvstore/server/peer.pb.h"
#include "kvstore/server/read_gate.h"

namespace keel::kvstore {

class LeaderCalls {
 public:
  using Kind = keel::kv::PeerRequest::Kind;
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;
  using Reply = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;
  using Handler = std::function<void(std::string_view body, Reply reply)>;

  // `gate` is the one of the server's loop.
  LeaderCalls(ServerContext* context, ReadGate* gate);

  // What this member does for `kind` when it leads. ErrNotLeader() as a reply
  // makes the asker look for the leader again.
  void Handle(Kind kind, Handler handler);

  // What this member does for `kind` whoever leads.
  void HandleAnywhere(Kind kind, Handler handler);

  // Errors: those of the handler; "no leader" and "request timed out" when the
  // time is up.
  void Ask(Kind kind, std::string body, Done done);

  // As Ask, but of this member, which has `limit` to answer. It need not be connected yet.
  void AskMember(raft::NodeId member, Kind kind, std::string body, base::Duration limit, Done done);

  void OnUserMessage(raft::NodeId from, std::string_view payload);
  void OnLeaderChange();
  // Asks again and fails what is out of time; called regularly.
  void Tick();
  void Stop();

 private:
  struct Call {
    Kind kind;
    std::string body;
    Done done;
    raft::NodeId member = raft::kNoNode;  // kNoNode: whoever leads
    base::TimePoint give_up;
    base::TimePoint asked;
    raft::NodeId asked_of = raft::kNoNode;
  };

  void Send(uint64_t id, Call& call);
  void OnAnswer(uint64_t id, absl::StatusOr<std::string> answer);
  void Serve(Kind kind, std::string_view body, Reply reply);
  void ServeMember(keel::kv::PeerRequest request, Reply reply);

  ServerContext* const context_;
  ReadGate* const gate_;
  std::map<Kind, Handler> handlers_;
  std::map<Kind, Handler> handlers_anywhere_;
  absl::btree_map<uint64_t, Call> calls_;  // by id: by age
  uint64_t next_id_;
  bool stopped_ = false;
};

}  // namespace keel::kvstore
