// Who owns whom: all objects that own or are owned, by uid (but pods, which the shared cache of
// pods holds), and what is to be done about one of them.
//
//   GarbageVerdict verdict = Judge(object, owners_as_found, dependents);
//
// Pure. An object goes when none of its owners is left; references to owners that are gone are
// taken off as long as one is left. An owner that is deleted in the foreground waits for dependents
// that block it; one that is deleted with orphans gives them up first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

// What the garbage collector knows of an object.
struct OwnedObject {
  std::string uid;
  std::vector<OwnerRef> owners{};
  bool deleting = false;
  bool foreground = false;  // has the finalizer foregroundDeletion
  bool orphan = false;      // has the finalizer orphan

  static OwnedObject Parse(const json::object& object);
};

enum class OwnerState : uint8_t {
  kSolid,    // is there
  kWaiting,  // is being deleted in the foreground, and waits for its dependents
  kAbsent,   // is gone, or has another uid by now
};

struct Dependent {
  std::string_view owner_uid;
  bool blocks = false;  // blockOwnerDeletion of the reference to that owner
  bool deleting = false;
};

enum class GarbageAction : uint8_t {
  kNothing,
  kDelete,            // with the policy that its finalizers ask for, or in the background
  kDeleteForeground,  // it has dependents of its own that hold up whoever waits
  kDropOwners,        // references in `drop`
  kFinishForeground,  // takes the finalizer foregroundDeletion off
  kDeleteDependents,  // looks at the dependents
  kOrphanDependents,  // takes the references off the dependents, then the finalizer orphan
};
struct GarbageVerdict {
  GarbageAction action = GarbageAction::kNothing;
  std::vector<std::string> drop{};  // uids of owners
};

// `owners`: the state of each of object.owners, in order.
GarbageVerdict Judge(const OwnedObject& object, const std::vector<OwnerState>& owners,
                     const std::vector<Dependent>& dependents);

// A place in the API.
struct ObjectPlace {
  int resource = 0;  // index in the collector's list
  ObjectKey key;
  friend bool operator==(const ObjectPlace&, const ObjectPlace&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ObjectPlace& place) {
    return H::combine(std::move(h), place.resource, place.key);
  }
};

// Where objects are by their uid, and who depends on whom.
class GarbageGraph {
 public:
  using Places = absl::flat_hash_set<ObjectPlace>;
  void Change(const ObjectPlace& place, const OwnedObject* before, const OwnedObject* now);
  // Null when there is none of that uid.
  const ObjectPlace* Find(std::string_view uid) const;
  const Places& DependentsOf(std::string_view uid) const;

 private:
  absl::flat_hash_map<std::string, ObjectPlace> places_;
  absl::flat_hash_map<std::string, Places> dependents_;
};

}  // namespace keel::orchestrator
