// A Deployment's ReplicaSets while one step is planned: each with the replicas it is to have, and
// the annotations that tie it to the Deployment.
//
// Thread-safety: values.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/replica_set_reconcile.h"

namespace keel::orchestrator {

inline constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";
inline constexpr std::string_view kRevisionHistory = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view kDesiredReplicas = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view kMaxReplicas = "deployment.kubernetes.io/max-replicas";
inline constexpr std::string_view kTemplateHash = "pod-template-hash";

// One set, as it is and as it is to be.
struct RolledSet {
  const json::object* object = nullptr;
  int64_t replicas = 0;      // spec.replicas as it is to be
  json::object annotations;  // as they are to be
  int64_t min_ready_seconds = 0;
  bool is_new = false;   // has the deployment's template
  bool created = false;  // does not exist yet; `object` is what is created

  explicit RolledSet(const json::object& set);
  std::string_view name() const { return NameOf(*object); }
  int64_t revision() const;
  // Not more than there are to be: what a status from before the last scaling counts is leaving.
  int64_t available() const {
    return std::min(IntAt(*object, {"status", "availableReplicas"}),
                    IntAt(*object, {"spec", "replicas"}, 1));
  }
  bool changed() const;
};

// metadata.annotations[name]; empty when it is missing.
std::string_view AnnotationOf(const json::object& object, std::string_view name);
int64_t RevisionOf(const json::object& object);

// Gives `set` the annotations of the deployment and, if it is the newest, the highest revision.
// True if something changed.
void SyncAnnotations(const json::object& deployment, int64_t newest_revision, RolledSet& set);
// desired-replicas and max-replicas.
void SetReplicasAnnotations(int64_t desired, int64_t max, RolledSet& set);

// The set of the deployment's template, which does not exist yet.
json::object NewSetOf(const json::object& deployment);

// The patch that makes the set what it is to be; names the version it was decided on.
Request UpdateOf(const RolledSet& set);

// spec.replicas as a scaling in proportion to the set's size gives it (Kubernetes'
// GetReplicaSetProportion); `to_add` may be negative, `added` is what others got already.
int64_t ProportionOf(const RolledSet& set, int64_t deployment_replicas, int64_t surge,
                     int64_t status_replicas, int64_t to_add, int64_t added);

}  // namespace keel::orchestrator
