#include "orchestrator/controllers/quota_controller.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/api/quota_usage.h"
#include "orchestrator/controllers/interned.h"
#include "orchestrator/controllers/plan_runner.h"

namespace keel::orchestrator {
namespace {

const Resource kQuotas{"", "v1", "resourcequotas"};
// Changes are gathered for that long.
constexpr base::Duration kGather = std::chrono::milliseconds(200);
// After that, an addition that no cache has seen is taken for one that nothing was created for.
constexpr base::Duration kPatience = std::chrono::seconds(5);
constexpr base::Duration kDiscoverEvery = std::chrono::seconds(30);

struct CountedObject {
  std::shared_ptr<const json::object> part;
  uint64_t version = 0;

  static CountedObject Parse(const json::object& object) {
    json::object part = QuotaPart(object);
    std::string text = ToJson(part);
    return {Interned(text, std::move(part)), VersionOf(object)};
  }
};

}  // namespace

struct QuotaController::Counted {
  std::string name;  // "pods", "jobs.batch"
  std::unique_ptr<Informer<CountedObject>> informer{};
  bool looked_up = false;  // discovery has been asked
  uint64_t seen = 0;       // the newest version of any object
  absl::flat_hash_map<std::string, QuotaObjects> by_namespace{};

  bool known() const { return informer != nullptr; }
  bool ready() const { return known() ? informer->synced() : looked_up; }
};

QuotaController::QuotaController(ControllerContext& context)
    : context_(context),
      quotas_(context.shared.Get(kQuotas)),
      queue_(context.loop, {.workers = context.concurrency("resource-quota", 5)},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  quotas_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    OnQuota(key, before, now);
  });
}

QuotaController::~QuotaController() { context_.loop.Cancel(timer_); }

void QuotaController::Start() { queue_.Resume(); }

void QuotaController::OnQuota(const ObjectKey& key, const RawObject* before, const RawObject* now) {
  if (now == nullptr) {
    const auto found = by_namespace_.find(key.ns);
    if (found != by_namespace_.end()) {
      found->second.erase(key);
      if (found->second.empty()) by_namespace_.erase(found);
    }
    additions_.erase(key);
    ours_.erase(key);
    return;
  }
  by_namespace_[key.ns].insert(key);
  if (before == nullptr || ObjectAt(before->object, {"spec"}) != ObjectAt(now->object, {"spec"})) {
    return queue_.Add(key);
  }
  if (ObjectAt(before->object, {"status"}) == ObjectAt(now->object, {"status"})) return;
  const uint64_t version = VersionOf(now->object);
  const auto ours = ours_.find(key);
  if (ours != ours_.end() && ours->second == version) return;
  additions_[key] = {version, context_.loop.Now()};
  QueueSoon(key);
}

QuotaController::Counted& QuotaController::CountedOf(const std::string& resource) {
  std::unique_ptr<Counted>& counted = counted_[resource];
  if (counted != nullptr) return *counted;
  counted = std::make_unique<Counted>(Counted{.name = resource});
  const bool core =
      resource.find('.') == std::string::npos && QuotaResourceOf(resource) == resource;
  if (core) {
    Watch(*counted, {"", "v1", resource});
  } else {
    Discover();
  }
  return *counted;
}

void QuotaController::Watch(Counted& counted, const Resource& resource) {
  counted.informer = std::make_unique<Informer<CountedObject>>(context_.client, resource);
  counted.informer->OnChange([this, &counted](const ObjectKey& key, const CountedObject* before,
                                              const CountedObject* now) {
    const CountedObject& newest = now == nullptr ? *before : *now;
    OnObject(counted, key, now == nullptr ? nullptr : now->part, newest.version);
  });
  counted.informer->Start([this] { QueueAll(); });
}

void QuotaController::OnObject(Counted& counted, const ObjectKey& key,
                               std::shared_ptr<const json::object> part, uint64_t version) {
  counted.seen = std::max(counted.seen, version);
  QuotaObjects& objects = counted.by_namespace[key.ns];
  if (part == nullptr) {
    objects.erase(key.name);
    if (objects.empty()) counted.by_namespace.erase(key.ns);
  } else {
    std::shared_ptr<const json::object>& known = objects[key.name];
    // Most changes of objects change nothing that counts.
    if (known == part) return;
    known = std::move(part);
  }
  const auto quotas = by_namespace_.find(key.ns);
  if (quotas == by_namespace_.end()) return;
  for (const ObjectKey& quota : quotas->second) QueueSoon(quota);
}

void QuotaController::Discover() {
  if (std::exchange(discovering_, true)) return;
  context_.loop.Cancel(std::exchange(timer_, 0));
  DiscoverResources(context_.client, [this](absl::StatusOr<std::vector<DiscoveredResource>> found) {
    discovering_ = false;
    if (found.ok()) {
      Discovered(*found);
    } else {
      base::Log().warn("resource quotas: discovery: {}", base::ToStd(found.status().message()));
    }
    // What is not there may come.
    const bool all_known = std::all_of(counted_.begin(), counted_.end(),
                                       [](const auto& each) { return each.second->known(); });
    if (all_known) return;
    timer_ = context_.loop.After(found.ok() ? kDiscoverEvery : std::chrono::seconds(1),
                                 [this] { Discover(); });
  });
}

void QuotaController::Discovered(const std::vector<DiscoveredResource>& found) {
  for (const auto& [name, counted] : counted_) {
    if (counted->known()) continue;
    counted->looked_up = true;
    for (const DiscoveredResource& each : found) {
      const Resource& resource = each.resource;
      if (!each.namespaced || !each.Can("list") || !each.Can("watch")) continue;
      const std::string full = resource.group.empty()
                                   ? resource.plural
                                   : base::StrCat(resource.plural, ".", resource.group);
      if (full != name) continue;
      Watch(*counted, resource);
      break;
    }
  }
  QueueAll();
}

void QuotaController::QueueSoon(const ObjectKey& key) {
  if (soon_.insert(key).second) queue_.AddAfter(key, kGather);
}

void QuotaController::QueueAll() {
  for (const auto& [key, quota] : quotas_.objects()) queue_.Add(key);
}

void QuotaController::Sync(const ObjectKey& key, Queue::Done done) {
  soon_.erase(key);
  const std::shared_ptr<const RawObject> quota = quotas_.Share(key);
  if (quota == nullptr) return done(absl::OkStatus());
  uint64_t seen = 0;
  bool ready = true;
  for (const std::string& resource : ResourcesOf(quota->object)) {
    const Counted& counted = CountedOf(resource);
    ready = ready && counted.ready();
    seen = std::max(seen, counted.seen);
  }
  if (!ready) return done(absl::OkStatus());  // Queued again when all is.
  if (const auto addition = additions_.find(key); addition != additions_.end()) {
    if (seen < addition->second.version && context_.loop.Now() - addition->second.at < kPatience) {
      QueueSoon(key);
      return done(absl::OkStatus());
    }
    additions_.erase(addition);
  }
  static const QuotaObjects& none = *new QuotaObjects;
  const auto counted = [&](std::string_view resource) -> const QuotaObjects* {
    const Counted& all = CountedOf(std::string(resource));
    if (!all.known()) return nullptr;
    const auto found = all.by_namespace.find(key.ns);
    return found == all.by_namespace.end() ? &none : &found->second;
  };
  const auto status = ReconcileQuota({.quota = quota->object, .counted = counted});
  if (!status.has_value()) return done(absl::OkStatus());
  Write(key, quota->object, *status, std::move(done));
}

void QuotaController::Write(const ObjectKey& key, const json::object& quota,
                            const json::object& status, Queue::Done done) {
  const json::value body = {
      {"metadata",
       {{"uid", StringAt(quota, {"metadata", "uid"})},
        {"resourceVersion", StringAt(quota, {"metadata", "resourceVersion"})}}},
      {"status", ShallowPatch(ObjectAt(quota, {"status"}), status)}};
  context_.client.Patch(
      kQuotas, key.ns, key.name, kMergePatch, body,
      [this, key, done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
        if (answer.ok()) {
          const uint64_t version = VersionOf(answer->as_object());
          if (quotas_.Find(key) != nullptr) ours_[key] = version;
          const auto addition = additions_.find(key);
          if (addition != additions_.end() && addition->second.version == version) {
            additions_.erase(addition);
          }
          return done(absl::OkStatus());
        }
        if (IsReason(answer.status(), "NotFound")) return done(absl::OkStatus());
        if (!IsReason(answer.status(), "Conflict")) return done(answer.status());
        // Something was created meanwhile.
        QueueSoon(key);
        done(absl::OkStatus());
      },
      "status");
}

}  // namespace keel::orchestrator
