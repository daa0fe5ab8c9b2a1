#include "orchestrator/controllers/garbage_collector.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr base::Duration kDiscoverEvery = std::chrono::seconds(30);
constexpr size_t kMaxGone = 10'000;

OwnedObject Owned(const PodInfo& pod) {
  OwnedObject object{.uid = std::string(pod.uid), .owners = *pod.owners, .deleting = pod.deleting};
  for (const std::string& finalizer : pod.finalizers) {
    object.foreground |= finalizer == "foregroundDeletion";
    object.orphan |= finalizer == "orphan";
  }
  return object;
}

}  // namespace

struct GarbageCollector::Job {
  ObjectPlace place;
  OwnedObject object;
  std::vector<OwnerState> owners;  // as far as they are known
  Queue::Done done;
};

GarbageCollector::GarbageCollector(ControllerContext& context)
    : context_(context),
      queue_(context.loop, {.workers = context.concurrency("gc", 20)},
             [this](const ObjectPlace& place, Queue::Done done) { Sync(place, std::move(done)); }) {
  watched_.push_back({{.resource = kPods, .kind = "Pod", .namespaced = true}, nullptr});
  context_.pods.OnChange([this](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
    OnPod(key, before, now);
  });
}

GarbageCollector::~GarbageCollector() { context_.loop.Cancel(timer_); }

void GarbageCollector::Start() { Discover(); }

void GarbageCollector::Discover() {
  DiscoverResources(context_.client, [this](absl::StatusOr<std::vector<DiscoveredResource>> found) {
    if (!found.ok()) {
      base::Log().warn("garbage collector: discovery: {}", base::ToStd(found.status().message()));
    } else {
      ++unsynced_;
      for (const DiscoveredResource& resource : *found) Watch(resource);
      discovered_ = true;
      OneSynced();
    }
    timer_ = context_.loop.After(found.ok() ? kDiscoverEvery : std::chrono::seconds(1),
                                 [this] { Discover(); });
  });
}

void GarbageCollector::Watch(const DiscoveredResource& resource) {
  if (!resource.Can("list") || !resource.Can("watch") || !resource.Can("delete")) return;
  // Events are many, and end by themselves.
  if (resource.resource.plural == "events") return;
  for (const Watched& watched : watched_) {
    if (watched.resource.resource.group == resource.resource.group &&
        watched.resource.resource.plural == resource.resource.plural) {
      return;
    }
  }
  const int index = static_cast<int>(watched_.size());
  watched_.push_back(
      {resource, std::make_unique<Informer<OwnedObject>>(context_.client, resource.resource)});
  Informer<OwnedObject>& informer = *watched_.back().informer;
  informer.OnChange(
      [this, index](const ObjectKey& key, const OwnedObject* before, const OwnedObject* now) {
        OnObject({index, key}, before, now);
      });
  ++unsynced_;
  informer.Start([this] { OneSynced(); });
}

void GarbageCollector::OneSynced() {
  if (--unsynced_ > 0 || !discovered_ || std::exchange(ready_, true)) return;
  // What happened while nobody looked.
  for (const auto& [key, pod] : context_.pods.objects()) {
    const OwnedObject object = Owned(*pod);
    Changed({0, key}, nullptr, &object);
  }
  for (size_t i = 1; i < watched_.size(); ++i) {
    for (const auto& [key, object] : watched_[i].informer->objects()) {
      Changed({static_cast<int>(i), key}, nullptr, object.get());
    }
  }
  queue_.Resume();
}

void GarbageCollector::OnObject(const ObjectPlace& place, const OwnedObject* before,
                                const OwnedObject* now) {
  graph_.Change(place, before, now);
  if (ready_) Changed(place, before, now);
}

void GarbageCollector::OnPod(const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
  // Status changes, which are nearly all there is, are of no interest.
  if (before != nullptr && now != nullptr && before->uid == now->uid &&
      before->owners == now->owners && before->deleting == now->deleting &&
      before->finalizers == now->finalizers) {
    return;
  }
  OwnedObject old_object, new_object;
  if (before != nullptr) old_object = Owned(*before);
  if (now != nullptr) new_object = Owned(*now);
  const OwnedObject* was = before == nullptr ? nullptr : &old_object;
  const OwnedObject* is = now == nullptr ? nullptr : &new_object;
  if (ready_) Changed({0, key}, was, is);
  // The cache of pods knows controllers only; pods that have other owners are rare.
  const auto others = [](OwnedObject object) {
    std::erase_if(object.owners, [](const OwnerRef& owner) { return owner.controller; });
    return object;
  };
  const OwnedObject old_others = others(old_object), new_others = others(new_object);
  const bool had = was != nullptr && !old_others.owners.empty();
  const bool has = is != nullptr && !new_others.owners.empty();
  if (had || has) {
    graph_.Change({0, key}, had ? &old_others : nullptr, has ? &new_others : nullptr);
  }
}

void GarbageCollector::Changed(const ObjectPlace& place, const OwnedObject* before,
                               const OwnedObject* now) {
  if (before != nullptr && (now == nullptr || now->uid != before->uid)) {
    if (gone_.size() >= kMaxGone) gone_.clear();
    gone_.insert(before->uid);
    for (const ObjectPlace& dependent : DependentsOf(before->uid)) queue_.Add(dependent);
  }
  // Who waits for this one may have waited long enough.
  for (const OwnedObject* each : {before, now}) {
    if (each == nullptr) continue;
    for (const OwnerRef& owner : each->owners) {
      if (!IsWaiting(owner)) continue;
      if (const ObjectPlace* waiting = graph_.Find(owner.uid)) queue_.Add(*waiting);
    }
  }
  if (now == nullptr) return;
  if (now->deleting) {
    if (now->foreground || now->orphan) queue_.Add(place);
    return;
  }
  const bool is_suspect =
      std::any_of(now->owners.begin(), now->owners.end(), [&](const OwnerRef& owner) {
        OwnerState state;
        return !StateOf(owner, place.key.ns, state) || state != OwnerState::kSolid;
      });
  if (is_suspect) queue_.Add(place);
}

bool GarbageCollector::Look(const ObjectPlace& place, OwnedObject& object) const {
  if (place.resource == 0) {
    const PodInfo* pod = context_.pods.Find(place.key);
    if (pod != nullptr) object = Owned(*pod);
    return pod != nullptr;
  }
  const OwnedObject* found =
      watched_[static_cast<size_t>(place.resource)].informer->Find(place.key);
  if (found != nullptr) object = *found;
  return found != nullptr;
}

std::vector<ObjectPlace> GarbageCollector::DependentsOf(std::string_view uid) const {
  const auto& others = graph_.DependentsOf(uid);
  std::vector<ObjectPlace> all(others.begin(), others.end());
  for (const ObjectKey& key : context_.pods.OwnedBy(uid)) all.push_back({0, key});
  return all;
}

bool GarbageCollector::StateOf(const OwnerRef& owner, const std::string& ns,
                               OwnerState& state) const {
  if (gone_.contains(owner.uid)) {
    state = OwnerState::kAbsent;
    return true;
  }
  ObjectPlace place;
  if (const ObjectPlace* found = graph_.Find(owner.uid)) {
    place = *found;
  } else if (owner.kind == "Pod" && owner.api_version == "v1") {
    place = {0, {ns, owner.name}};
  } else {
    return false;
  }
  OwnedObject object;
  if (!Look(place, object) || object.uid != owner.uid) return false;
  state = object.deleting && object.foreground ? OwnerState::kWaiting : OwnerState::kSolid;
  return true;
}

bool GarbageCollector::IsWaiting(const OwnerRef& owner) const {
  const ObjectPlace* place = graph_.Find(owner.uid);
  OwnedObject object;
  return place != nullptr && Look(*place, object) && object.deleting && object.foreground;
}

const DiscoveredResource* GarbageCollector::ResourceOfOwner(const OwnerRef& owner) const {
  const std::string group = owner.api_version.find('/') == std::string::npos
                                ? std::string()
                                : owner.api_version.substr(0, owner.api_version.find('/'));
  for (const Watched& watched : watched_) {
    if (watched.resource.kind == owner.kind && watched.resource.resource.group == group) {
      return &watched.resource;
    }
  }
  return nullptr;
}

void GarbageCollector::Sync(const ObjectPlace& place, Queue::Done done) {
  auto job = std::make_shared<Job>();
  if (!Look(place, job->object)) return done(absl::OkStatus());
  job->place = place;
  job->done = std::move(done);
  if (job->object.deleting) return Act(job);
  ResolveOwners(job);
}

void GarbageCollector::ResolveOwners(const std::shared_ptr<Job>& job) {
  while (job->owners.size() < job->object.owners.size()) {
    const OwnerRef& owner = job->object.owners[job->owners.size()];
    OwnerState state;
    if (StateOf(owner, job->place.key.ns, state)) {
      job->owners.push_back(state);
      continue;
    }
    const DiscoveredResource* resource = ResourceOfOwner(owner);
    if (resource == nullptr) {
      return job->done(absl::NotFoundError(
          base::StrCat("unable to get REST mapping for ", owner.api_version, "/", owner.kind)));
    }
    // The caches may be late: only the server's word counts.
    context_.client.Get(
        resource->resource, resource->namespaced ? job->place.key.ns : std::string(), owner.name,
        [this, job, uid = owner.uid](absl::StatusOr<json::value> found) {
          if (!found.ok() && !IsReason(found.status(), "NotFound"))
            return job->done(found.status());
          if (found.ok() && StringAt(*found, {"metadata", "uid"}) == uid) {
            const OwnedObject object = OwnedObject::Parse(found->get_object());
            job->owners.push_back(object.deleting && object.foreground ? OwnerState::kWaiting
                                                                       : OwnerState::kSolid);
          } else {
            if (gone_.size() >= kMaxGone) gone_.clear();
            gone_.insert(uid);
            job->owners.push_back(OwnerState::kAbsent);
          }
          ResolveOwners(job);
        });
    return;
  }
  Act(job);
}

void GarbageCollector::Act(const std::shared_ptr<Job>& job) {
  std::vector<Dependent> dependents;
  const std::vector<ObjectPlace> places = DependentsOf(job->object.uid);
  for (const ObjectPlace& place : places) {
    OwnedObject object;
    if (!Look(place, object)) continue;
    for (const OwnerRef& owner : object.owners) {
      if (owner.uid == job->object.uid) {
        dependents.push_back({job->object.uid, owner.block_owner_deletion, object.deleting});
      }
    }
  }
  GarbageVerdict verdict = Judge(job->object, job->owners, dependents);
  const Resource& resource = watched_[static_cast<size_t>(job->place.resource)].resource.resource;
  switch (verdict.action) {
    case GarbageAction::kNothing:
      return job->done(absl::OkStatus());
    case GarbageAction::kDelete:
    case GarbageAction::kDeleteForeground: {
      const char* policy =
          job->object.orphan ? "Orphan"
          : job->object.foreground || verdict.action == GarbageAction::kDeleteForeground
              ? "Foreground"
              : "Background";
      const json::value options = {{"apiVersion", "v1"},
                                   {"kind", "DeleteOptions"},
                                   {"propagationPolicy", policy},
                                   {"preconditions", {{"uid", job->object.uid}}}};
      return context_.client.Delete(resource, job->place.key.ns, job->place.key.name, options,
                                    [job](absl::StatusOr<json::value> answer) {
                                      const bool fine = answer.ok() ||
                                                        IsReason(answer.status(), "NotFound") ||
                                                        IsReason(answer.status(), "Conflict");
                                      job->done(fine ? absl::OkStatus() : answer.status());
                                    });
    }
    case GarbageAction::kDropOwners:
      return DropOwners(job->place, job->object.uid, std::move(verdict.drop), std::move(job->done));
    case GarbageAction::kFinishForeground:
      return DropFinalizer(job->place, job->object.uid, "foregroundDeletion", std::move(job->done));
    case GarbageAction::kDeleteDependents:
      for (const ObjectPlace& place : places) queue_.Add(place);
      return job->done(absl::OkStatus());
    case GarbageAction::kOrphanDependents:
      return OrphanDependents(job);
  }
}

void GarbageCollector::OrphanDependents(const std::shared_ptr<Job>& job) {
  struct Left {
    size_t count = 1;
    absl::Status error;
  };
  auto left = std::make_shared<Left>();
  const auto one_less = [this, job, left](const absl::Status& status) {
    if (!status.ok() && left->error.ok()) left->error = status;
    if (--left->count > 0) return;
    if (!left->error.ok()) return job->done(left->error);
    DropFinalizer(job->place, job->object.uid, "orphan", std::move(job->done));
  };
  for (const ObjectPlace& place : DependentsOf(job->object.uid)) {
    OwnedObject dependent;
    if (!Look(place, dependent)) continue;
    ++left->count;
    DropOwners(place, dependent.uid, {job->object.uid}, one_less);
  }
  one_less(absl::OkStatus());
}

void GarbageCollector::DropOwners(const ObjectPlace& place, std::string uid,
                                  std::vector<std::string> owners, Queue::Done done) {
  Rewrite(
      place, std::move(uid), "ownerReferences",
      [owners = std::move(owners)](const json::value& entry) {
        return std::find(owners.begin(), owners.end(), StringAt(entry, {"uid"})) == owners.end();
      },
      std::move(done));
}

void GarbageCollector::DropFinalizer(const ObjectPlace& place, std::string uid,
                                     std::string_view finalizer, Queue::Done done) {
  Rewrite(
      place, std::move(uid), "finalizers",
      [name = json::string(finalizer)](const json::value& entry) { return entry != name; },
      std::move(done));
}

void GarbageCollector::Rewrite(const ObjectPlace& place, std::string uid, std::string_view field,
                               std::function<bool(const json::value& entry)> keep,
                               Queue::Done done) {
  const Resource resource = watched_[static_cast<size_t>(place.resource)].resource.resource;
  context_.client.Get(
      resource, place.key.ns, place.key.name,
      [this, resource, place, uid = std::move(uid), field = std::string(field),
       keep = std::move(keep), done = std::move(done)](absl::StatusOr<json::value> found) mutable {
        if (!found.ok()) {
          return done(IsReason(found.status(), "NotFound") ? absl::OkStatus() : found.status());
        }
        if (StringAt(*found, {"metadata", "uid"}) != uid) return done(absl::OkStatus());
        json::array kept;
        const json::array& all = ArrayAt(*found, {"metadata", field});
        for (const json::value& entry : all) {
          if (keep(entry)) kept.push_back(entry);
        }
        if (kept.size() == all.size()) return done(absl::OkStatus());
        json::object metadata{
            {"resourceVersion", StringAt(*found, {"metadata", "resourceVersion"})}, {"uid", uid}};
        if (kept.empty()) {
          metadata[field] = nullptr;
        } else {
          metadata[field] = std::move(kept);
        }
        context_.client.Patch(
            resource, place.key.ns, place.key.name, kMergePatch,
            json::object{{"metadata", std::move(metadata)}},
            [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
              done(IsReason(answer.status(), "NotFound") ? absl::OkStatus() : answer.status());
            });
      });
}

}  // namespace keel::orchestrator
