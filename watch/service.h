// etcd's Watch service on a rpc::Server.
//
//   watch::Service service(hub, header_source);
//   service.Register(server);
//
// Answers are those of etcd 3.6 on the wire. As there, a stream whose client
// has closed its side goes on delivering until the client cancels the call.
//
// A client that reads slowly holds about queued_bytes_max plus one response of
// memory; its watchers fall behind and catch up when it reads (hub.h).
//
// Threads: streams live on the loops of their connections; Register,
// EndStreamsWithoutLeader and RecheckRights may be called from any thread.
// Lifetime: the hub and the header source must outlive the Service, the
// Service must outlive the server's streams.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "rpc/server.h"
#include "rpc/server_call.h"
#include "watch/guard.h"
#include "watch/hub.h"
#include "watch/response_head.h"

namespace keel::watch {

// Thread-safe; called for each response.
class HeaderSource {
 public:
  virtual ~HeaderSource() = default;
  virtual HeaderFields Header() const = 0;
};

struct ServiceOptions {
  // A stream with more than this waiting for its client is full, until it has
  // drained to a quarter.
  size_t queued_bytes_max = 512 << 10;
  // Whether this member knows a leader, or has only just started. Streams that ask
  // for one (metadata "hasleader: true") are refused without. Thread-safe.
  std::function<bool()> has_leader;
  // Null: everybody may watch everything. Outlives the server's streams.
  Guard* guard = nullptr;
};

class Service {
 public:
  Service(Hub& hub, const HeaderSource& header, ServiceOptions options = {});
  ~Service();

  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Registers /etcdserverpb.Watch/Watch.
  void Register(rpc::Server& server);

  // Ends the streams that asked for a leader with Unavailable "etcdserver: no
  // leader". To be called when there has been none for a while (etcd: three
  // election timeouts).
  void EndStreamsWithoutLeader();

  // Cancels the watchers whose users may not watch their ranges any more. Of those no event is sent
  // once the guard's epoch has moved; this tells the ones that have no event to come, too. To be
  // called after the epoch has moved. Any thread.
  void RecheckRights();

 private:
  class Handler;

  // Notes a stream that needs a leader; false when there is none.
  bool Admit(rpc::ServerCall& call);

  Hub& hub_;
  const HeaderSource& header_;
  const ServiceOptions options_;
  std::mutex mu_;
  absl::flat_hash_set<rpc::ServerCall*> need_leader_;  // guarded by mu_; each open
  absl::flat_hash_set<Handler*> handlers_;             // guarded by mu_; each open, with a guard
};

}  // namespace keel::watch
