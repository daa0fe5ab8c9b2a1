// The part of an etcdserverpb.WatchResponse that is not events.
//
//   rpc::Message message(EncodeResponseHead(identity, {.revision = 7, .watch_id = 1}));
//   message.shared = events;
//
// Thread-safety: free functions and values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace keel::watch {

// Who answers, as of now: fields of etcdserverpb.ResponseHeader.
struct HeaderFields {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  uint64_t raft_term = 0;
};

struct ResponseHead {
  int64_t revision = 0;
  int64_t watch_id = 0;
  bool created = false;
  bool canceled = false;
  int64_t compact_revision = 0;
  std::string_view cancel_reason = {};
  bool fragment = false;
};

std::string EncodeResponseHead(const HeaderFields& header, const ResponseHead& head);

}  // namespace keel::watch
