// Writes of one object: read from the cache, changed by a plan, committed if nobody was faster, and
// tried again from the store's own state if somebody was (Kubernetes' GuaranteedUpdate).
//
//   writer.Write({.resource = "pods", .ns = "default", .name = "a"},
//                [](const json::object* before) -> absl::StatusOr<WritePlan> { ... },
//                [](absl::StatusOr<Written> written) { ... });
//
// A plan that fails on what the cache holds is made once more on what the store holds, so that no
// refusal rests on old data. A plan may run several times. What equals the state before is not
// written.
//
// Thread-safety: on its loop only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/apiserver/context.h"

namespace keel::orchestrator {

struct WritePlan {
  enum class What : uint8_t { kPut, kDelete, kNothing };
  What what = What::kPut;
  json::object object{};  // kPut: the new state, in the stored version
  // What goes into the same transaction.
  std::vector<SideWrite> side_writes{};
  std::vector<StoreCompare> compares{};
  std::vector<StoreOp> ops{};
  int64_t lease = 0;
};

struct WriteTarget {
  std::string resource;  // Kind::resource()
  std::string ns{}, name{};
  bool create = false;  // there must be none of that name
  bool dry_run = false;
};

struct Written {
  std::string bytes;  // the object as it is now (or was last), with metadata.resourceVersion
  bool created = false;
  bool deleted = false;
  bool unchanged = false;
};

class Writer {
 public:
  // `before`: null when there is none; with metadata.resourceVersion. No copy outlives the call.
  using Plan = std::function<absl::StatusOr<WritePlan>(const json::object* before)>;
  using Done = absl::AnyInvocable<void(absl::StatusOr<Written>)>;

  explicit Writer(ServerContext& context) : context_(context) {}

  // Errors: the plan's; AlreadyExists for a create; Conflict after too many lost races; TooLarge
  // and Unavailable from the store.
  void Write(WriteTarget target, Plan plan, Done done);

 private:
  struct Attempt;
  void ReadFromStore(std::shared_ptr<Attempt> attempt);
  void Run(std::shared_ptr<Attempt> attempt);
  void Commit(std::shared_ptr<Attempt> attempt, WritePlan plan);
  void Committed(std::shared_ptr<Attempt> attempt, absl::StatusOr<StoreCommit> commit,
                 WritePlan::What what);

  ServerContext& context_;
};

// The store's own refusals in the words that clients know.
absl::Status StoreError(const absl::Status& status);

}  // namespace keel::orchestrator
