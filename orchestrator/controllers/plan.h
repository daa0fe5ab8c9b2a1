// What a reconcile wants done: a value, carried out by PlanRunner.
//
//   Plan plan = ReconcileJob({.job = job, .pods = pods, .now = now});
//
// Thread-safety: values.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// A kind of objects in paths; the texts are literals.
struct ResourceRef {
  std::string_view group, version, plural;
  friend bool operator==(const ResourceRef&, const ResourceRef&) = default;
};
inline constexpr ResourceRef kPodRef{"", "v1", "pods"};
inline constexpr ResourceRef kNodeRef{"", "v1", "nodes"};
inline constexpr ResourceRef kJobRef{"batch", "v1", "jobs"};
inline constexpr ResourceRef kCronJobRef{"batch", "v1", "cronjobs"};
inline constexpr ResourceRef kDaemonSetRef{"apps", "v1", "daemonsets"};
inline constexpr ResourceRef kStatefulSetRef{"apps", "v1", "statefulsets"};
inline constexpr ResourceRef kControllerRevisionRef{"apps", "v1", "controllerrevisions"};
inline constexpr ResourceRef kClaimRef{"", "v1", "persistentvolumeclaims"};
inline constexpr ResourceRef kVolumeRef{"", "v1", "persistentvolumes"};

// An event about the object that is reconciled.
struct Note {
  bool warning = false;
  std::string reason;
  std::string message;
  friend bool operator==(const Note&, const Note&) = default;
};

struct Request {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // the client has media types of the same names
  enum class Verb : uint8_t { kCreate, kDelete, kMergePatch, kStrategicPatch, kUpdate };
#pragma GCC diagnostic pop
  Verb verb = Verb::kCreate;
  ResourceRef resource;
  std::string ns{}, name{};   // `name` empty: the server makes one (generateName)
  std::string subresource{};  // "status", ...
  json::value body{};         // the object, the patch, or DeleteOptions
  // Told when it was done or refused; "%s" stands for the object's name, in a failure's then for
  // the error. No reason: nothing is told.
  Note done{}, failed{};
  // NotFound of a delete or patch, and AlreadyExists of a create, are no errors.
  bool lenient = true;
};

struct Plan {
  std::vector<Request> requests;       // in order; of a kind and verb several at once
  std::vector<Note> notes;             // told whatever comes of the requests
  std::optional<json::object> status;  // the object's new one, when it differs
  bool status_needs_requests = false;  // not written when one of the requests failed
  absl::Duration again =
      absl::InfiniteDuration();  // reconcile again after that, if nothing happens

  void Again(absl::Duration after) {
    again = std::min(again, std::max(after, absl::ZeroDuration()));
  }
  bool empty() const { return requests.empty() && notes.empty() && !status.has_value(); }
};

// Background deletion of an object that must still have this uid.
Request DeleteRequest(ResourceRef resource, std::string_view ns, std::string_view name,
                      std::string_view uid);

// {"apiVersion", "kind", "name", "uid", "controller": true, "blockOwnerDeletion": true}
json::object OwnerReferenceTo(std::string_view api_version, std::string_view kind,
                              const json::object& owner);
// A pod as `template` (spec.template) says, owned by `owner` in its namespace; without a name.
json::object PodOf(const json::object& pod_template, std::string_view api_version,
                   std::string_view kind, const json::object& owner);

// Sets the condition of that type; lastTransitionTime only when its status changes. True if
// anything changed.
bool SetCondition(json::array& conditions, std::string_view type, bool status,
                  std::string_view reason, std::string_view message, absl::Time now,
                  bool with_probe_time = false);
// Null when there is none.
const json::object* ConditionOf(const json::object& object, std::string_view type);
bool ConditionIsTrue(const json::object& object, std::string_view type);

// Whether spec.selector (matchLabels, matchExpressions) selects these labels; null and an empty
// selector as said by `when_empty`.
bool SelectorMatches(const json::object& selector,
                     const std::vector<std::pair<std::string, std::string>>& labels,
                     bool when_empty);

// FNV-1a over the JSON, in the alphabet that Kubernetes' names use: names of revisions.
std::string SafeHash(const json::value& value, uint32_t salt = 0);

// metadata.name, .namespace, .uid.
std::string_view NameOf(const json::object& object);
std::string_view NamespaceOf(const json::object& object);
std::string_view UidOf(const json::object& object);

// "25%" of `total`, or a whole number; `otherwise` when it is neither.
int64_t ScaledValue(const json::value* int_or_percent, int64_t total, bool round_up,
                    int64_t otherwise);

}  // namespace keel::orchestrator
