// When an object goes, and what keeps it: finalizers, and the time that pods are given.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

// DeleteOptions, of the body or the query.
struct DeletionOptions {
  std::optional<int64_t> grace_period_seconds{};
  std::string uid{};               // precondition
  std::string resource_version{};  // precondition
  std::string propagation{};       // "", Orphan, Background, Foreground
  bool dry_run = false;
};
// Of the body's object (may be null). BadRequest, Invalid.
absl::StatusOr<DeletionOptions> ParseDeletionOptions(const json::value& body);

// Conflict unless the preconditions hold.
absl::Status CheckDeletionPreconditions(const Kind& kind, const DeletionOptions& options,
                                        const json::object& object);

// Marks `object` as being deleted, as the options say (again: only to shorten the grace period).
// After it GoesNow tells whether it can go at once.
void MarkDeleted(const Kind& kind, const DeletionOptions& options, absl::Time now,
                 json::object& object);

// Is being deleted, has no finalizer and no time left.
bool GoesNow(const Kind& kind, const json::object& object);

}  // namespace keel::orchestrator
