// How members reach each other. Messages may be lost, duplicated and
// reordered: Raft copes. Snapshots travel as files on a stream of their own.
//
// Besides Raft's messages a transport carries small user payloads between
// members (requests forwarded to the leader, for instance): unordered with
// respect to Raft's, delivered at most once, possibly never.
//
// Thread-safety: every method may be called from any thread; handlers run on
// the loop given to Start.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/loop.h"
#include "raft/core/types.h"

namespace keel::raft {

class TransportHandler {
 public:
  virtual ~TransportHandler() = default;
  // To be taken. A message that is taken may be left with a list of entries that is
  // empty but has memory: it serves one that arrives later.
  virtual void OnMessages(std::span<Message> messages) = 0;
  // A peer's connection broke or could not be made.
  virtual void OnUnreachable(NodeId peer) = 0;
  // A snapshot arrived whole and checked, as files in `dir`; the handler owns the folder.
  virtual void OnSnapshotFiles(NodeId from, const Message& message, std::string dir) = 0;
  // A user payload from a peer.
  virtual void OnUserMessage(NodeId from, std::string payload) = 0;
  // `from` says that this member was removed from the cluster, by the log up to `index`. May come
  // again and again.
  virtual void OnRemoved(NodeId from, Index index) {}
};

// Of one peer, since the transport was made.
struct PeerFigures {
  NodeId peer = kNoNode;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  uint64_t dropped_messages = 0;  // that the connection could not take
  base::Duration round_trip{};    // the newest of `round_trips` samples
  uint64_t round_trips = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  virtual void Start(base::Loop* loop, TransportHandler* handler) = 0;
  // Nothing is called back after it returns. Not on the handler's loop.
  virtual void Stop() = 0;

  virtual void AddPeer(NodeId peer, const std::string& address) = 0;
  virtual void RemovePeer(NodeId peer) = 0;

  // Sends to message.to each; drops what a broken or full connection cannot take.
  // Takes the messages; what is left of them is the caller's, to use their memory again.
  virtual void Send(std::span<Message> messages) = 0;
  virtual void SendUser(NodeId to, std::string payload) = 0;
  // Streams the files in `dir` with `message` (kSnapshot) on a connection of
  // their own; the receiver gets OnSnapshotFiles. `done` runs on the handler's loop.
  virtual void SendSnapshot(Message message, std::string dir,
                            absl::AnyInvocable<void(absl::Status)> done) = 0;

  // Time since a message from the peer was last received; max() when never. For health and metrics.
  // What was sent to and received from each peer there was; any thread.
  virtual std::vector<PeerFigures> Peers() const { return {}; }
  virtual base::Duration SinceHeard(NodeId peer) const = 0;
};

}  // namespace keel::raft
