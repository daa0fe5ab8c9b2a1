#include "orchestrator/controllers/garbage_graph.h"

#include <algorithm>

#include "base/strings.h"

namespace keel::orchestrator {

OwnedObject OwnedObject::Parse(const json::object& object) {
  OwnedObject owned{.uid = std::string(StringAt(object, {"metadata", "uid"})),
                    .owners = OwnersOf(object)};
  owned.deleting = !StringAt(object, {"metadata", "deletionTimestamp"}).empty();
  for (const json::value& finalizer : ArrayAt(object, {"metadata", "finalizers"})) {
    if (!finalizer.is_string()) continue;
    owned.foreground |= View(finalizer.get_string()) == "foregroundDeletion";
    owned.orphan |= View(finalizer.get_string()) == "orphan";
  }
  return owned;
}

GarbageVerdict Judge(const OwnedObject& object, const std::vector<OwnerState>& owners,
                     const std::vector<Dependent>& dependents) {
  if (object.deleting && object.orphan) return {GarbageAction::kOrphanDependents};
  if (object.deleting && object.foreground) {
    const bool blocked = std::any_of(dependents.begin(), dependents.end(),
                                     [](const Dependent& each) { return each.blocks; });
    return {blocked ? GarbageAction::kDeleteDependents : GarbageAction::kFinishForeground};
  }
  if (object.deleting || object.owners.empty()) return {};
  const auto count = [&](OwnerState state) {
    return std::count(owners.begin(), owners.end(), state);
  };
  if (count(OwnerState::kSolid) > 0) {
    GarbageVerdict verdict;
    for (size_t i = 0; i < owners.size(); ++i) {
      if (owners[i] != OwnerState::kSolid) verdict.drop.push_back(object.owners[i].uid);
    }
    if (!verdict.drop.empty()) verdict.action = GarbageAction::kDropOwners;
    return verdict;
  }
  if (count(OwnerState::kWaiting) > 0 && !dependents.empty()) {
    return {GarbageAction::kDeleteForeground};
  }
  return {GarbageAction::kDelete};
}

void GarbageGraph::Change(const ObjectPlace& place, const OwnedObject* before,
                          const OwnedObject* now) {
  if (before != nullptr) {
    if (now == nullptr || now->uid != before->uid) {
      auto found = places_.find(before->uid);
      if (found != places_.end() && found->second == place) places_.erase(found);
    }
    for (const OwnerRef& owner : before->owners) {
      auto found = dependents_.find(owner.uid);
      if (found == dependents_.end()) continue;
      found->second.erase(place);
      if (found->second.empty()) dependents_.erase(found);
    }
  }
  if (now == nullptr) return;
  places_[now->uid] = place;
  for (const OwnerRef& owner : now->owners) dependents_[owner.uid].insert(place);
}

const ObjectPlace* GarbageGraph::Find(std::string_view uid) const {
  auto found = places_.find(base::ToAbsl(uid));
  return found == places_.end() ? nullptr : &found->second;
}

const GarbageGraph::Places& GarbageGraph::DependentsOf(std::string_view uid) const {
  static const Places kNone;
  auto found = dependents_.find(base::ToAbsl(uid));
  return found == dependents_.end() ? kNone : found->second;
}

}  // namespace keel::orchestrator
