// What a list or watch asks for besides its selector: revisions, pages, bookmarks.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/apiserver/request_info.h"

namespace keel::orchestrator {

// Where a page goes on: opaque to clients.
struct ContinueToken {
  int64_t revision = 0;      // -1: at any (after the first revision was compacted away)
  std::string ns{}, name{};  // the last object that was told
  std::string Encode() const;
  static absl::StatusOr<ContinueToken> Decode(std::string_view text);
};

struct ReadOptions {
  std::string resource_version{};  // as given
  int64_t revision = 0;            // the same as a number
  enum class Match : uint8_t { kUnset, kExact, kNotOlderThan } match = Match::kUnset;
  int64_t limit = 0;
  std::optional<ContinueToken> from{};
  bool send_initial_events = false;
  bool initial_events_set = false;
  bool bookmarks = false;
  int64_t timeout_seconds = 0;

  // BadRequest or Invalid in Kubernetes' words.
  static absl::StatusOr<ReadOptions> Parse(const QueryParams& query, bool watch);
};

}  // namespace keel::orchestrator
