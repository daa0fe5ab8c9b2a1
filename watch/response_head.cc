#include "watch/response_head.h"

#include "watch/wire.h"

namespace keel::watch {
namespace {

// Field numbers of ResponseHeader and WatchResponse.
constexpr uint32_t kClusterId = 1, kMemberId = 2, kRevision = 3, kRaftTerm = 4;
constexpr uint32_t kHeader = 1, kWatchId = 2, kCreated = 3, kCanceled = 4, kCompactRevision = 5,
                   kCancelReason = 6, kFragment = 7;

}  // namespace

std::string EncodeResponseHead(const HeaderFields& header, const ResponseHead& head) {
  std::string out;
  out.reserve(64 + head.cancel_reason.size());
  const size_t header_bytes = wire::IntFieldSize(static_cast<int64_t>(header.cluster_id)) +
                              wire::IntFieldSize(static_cast<int64_t>(header.member_id)) +
                              wire::IntFieldSize(head.revision) +
                              wire::IntFieldSize(static_cast<int64_t>(header.raft_term));
  wire::AppendTag(kHeader, wire::kLengthDelimited, &out);
  wire::AppendVarint(header_bytes, &out);
  wire::AppendUintField(kClusterId, header.cluster_id, &out);
  wire::AppendUintField(kMemberId, header.member_id, &out);
  wire::AppendIntField(kRevision, head.revision, &out);
  wire::AppendUintField(kRaftTerm, header.raft_term, &out);
  wire::AppendIntField(kWatchId, head.watch_id, &out);
  wire::AppendIntField(kCreated, head.created, &out);
  wire::AppendIntField(kCanceled, head.canceled, &out);
  wire::AppendIntField(kCompactRevision, head.compact_revision, &out);
  wire::AppendBytesField(kCancelReason, head.cancel_reason, &out);
  wire::AppendIntField(kFragment, head.fragment, &out);
  return out;
}

}  // namespace keel::watch
