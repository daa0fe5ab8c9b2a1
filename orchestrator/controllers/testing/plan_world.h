// A cluster for tests of pure reconciles: keeps objects as JSON and does what plans ask, or only
// the beginning of it, as a controller that is killed in between would.
//
//   PlanWorld world;
//   world.Apply(ReconcileJob({.job = job, .pods = world.PodPointers(), .now = world.now}), job);
//   world.SetPhase("job-1", "Succeeded");
//
// One thread.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/strings.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

class PlanWorld {
 public:
  using Key = std::tuple<std::string, std::string, std::string>;  // plural, namespace, name

  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  std::map<Key, json::object> objects;
  std::vector<Note> notes;
  size_t created = 0, deleted = 0;

  // Carries out the first `limit` requests, and, if they were all, writes the status of `object`.
  void Apply(Plan plan, json::object& object, size_t limit = SIZE_MAX) {
    for (const Note& note : plan.notes) notes.push_back(note);
    for (Request& request : plan.requests) {
      if (limit-- == 0) return;
      Do(request);
    }
    if (limit > 0 && plan.status.has_value()) object["status"] = std::move(*plan.status);
  }

  void Do(Request& request) {
    const std::string plural(request.resource.plural);
    if (request.verb == Request::Verb::kCreate) {
      json::object object = request.body.as_object();
      std::string name(NameOf(object));
      if (name.empty()) {
        name = base::StrCat(StringAt(object, {"metadata", "generateName"}), ++suffix_);
      }
      *Ensure(object, {"metadata", "name"}) = name;
      *Ensure(object, {"metadata", "uid"}) = base::StrCat("uid-", ++suffix_);
      *Ensure(object, {"metadata", "creationTimestamp"}) = TimeText(now);
      if (plural == "pods") *Ensure(object, {"status", "phase"}) = "Pending";
      ++created;
      Tell(request.done, name);
      objects.emplace(Key(plural, request.ns, name), std::move(object));
      return;
    }
    const Key key(plural, request.ns, request.name);
    const auto found = objects.find(key);
    if (found == objects.end()) return;
    if (request.verb == Request::Verb::kDelete) {
      const std::string_view uid = StringAt(request.body, {"preconditions", "uid"});
      if (!uid.empty() && uid != UidOf(found->second)) return;
      ++deleted;
      Tell(request.done, request.name);
      // A pod on a node goes when its node agent says so.
      if (ArrayAt(found->second, {"metadata", "finalizers"}).empty() &&
          (plural != "pods" || StringAt(found->second, {"spec", "nodeName"}).empty())) {
        objects.erase(found);
      } else {
        *Ensure(found->second, {"metadata", "deletionTimestamp"}) = TimeText(now);
      }
    } else if (request.verb == Request::Verb::kUpdate) {
      json::value status = ObjectAt(found->second, {"status"});
      found->second = request.body.as_object();
      found->second["status"] = std::move(status);
    } else {
      Merge(found->second, request.body.as_object());
      Sweep(key);
    }
  }

  json::object* Find(std::string_view plural, const std::string& name) {
    for (auto& [key, object] : objects) {
      if (std::get<0>(key) == plural && std::get<2>(key) == name) return &object;
    }
    return nullptr;
  }
  std::vector<json::object*> All(std::string_view plural) {
    std::vector<json::object*> all;
    for (auto& [key, object] : objects) {
      if (std::get<0>(key) == plural) all.push_back(&object);
    }
    return all;
  }

  // Of all pods as they are now; valid until the next call.
  const std::vector<const PodInfo*>& PodPointers() {
    infos_.clear();
    pointers_.clear();
    for (json::object* pod : All("pods")) infos_.push_back(PodInfo::Parse(*pod));
    for (const PodInfo& info : infos_) pointers_.push_back(&info);
    return pointers_;
  }

  void SetPhase(json::object& pod, std::string_view phase) {
    *Ensure(pod, {"status", "phase"}) = phase;
    *Ensure(pod, {"status", "conditions"}) =
        json::array{json::object{{"type", "Ready"},
                                 {"status", phase == "Running" ? "True" : "False"},
                                 {"lastTransitionTime", TimeText(now)}}};
  }
  // The node agent's last word on a pod that is being deleted.
  void Gone(json::object& pod) {
    if (StringAt(pod, {"status", "phase"}) != "Succeeded") SetPhase(pod, "Failed");
    pod["spec"].as_object().erase("nodeName");
    Sweep(Key("pods", std::string(NamespaceOf(pod)), std::string(NameOf(pod))));
  }

 private:
  void Tell(const Note& note, const std::string& name) {
    if (note.reason.empty()) return;
    Note told = note;
    if (const size_t at = told.message.find("%s"); at != told.message.npos) {
      told.message.replace(at, 2, name);
    }
    notes.push_back(std::move(told));
  }
  static void Merge(json::object& into, const json::object& patch) {
    for (const auto& [name, value] : patch) {
      if (value.is_null()) {
        into.erase(name);
      } else if (value.is_object()) {
        json::value& member = into[name];
        if (!member.is_object()) member = json::object();
        Merge(member.get_object(), value.get_object());
      } else {
        into[name] = value;
      }
    }
  }
  void Sweep(const Key& key) {
    const auto found = objects.find(key);
    if (found == objects.end()) return;
    if (!StringAt(found->second, {"metadata", "deletionTimestamp"}).empty() &&
        ArrayAt(found->second, {"metadata", "finalizers"}).empty() &&
        StringAt(found->second, {"spec", "nodeName"}).empty()) {
      objects.erase(found);
    }
  }

  int suffix_ = 0;
  std::vector<PodInfo> infos_;
  std::vector<const PodInfo*> pointers_;
};

}  // namespace keel::orchestrator
