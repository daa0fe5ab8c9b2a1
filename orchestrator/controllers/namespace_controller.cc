#include "orchestrator/controllers/namespace_controller.h"

#include "base/strings.h"
#include "orchestrator/controllers/plan_runner.h"

namespace keel::orchestrator {
namespace {

// Pods take their time; whatever else is left has finalizers.
constexpr base::Duration kLookAgain = std::chrono::seconds(1);

std::string Qualified(const Resource& r) {
  return r.group.empty() ? r.plural : base::StrCat(r.plural, ".", r.group);
}

}  // namespace

struct NamespaceController::Job {
  json::object ns;
  std::string name;
  NamespaceContent content;
  size_t left = 1;
  Queue::Done done;
};

NamespaceController::NamespaceController(ControllerContext& context)
    : context_(context),
      namespaces_(context.shared.Get(kNamespaces)),
      queue_(context.loop, {.workers = context.concurrency("namespace", 10)},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  namespaces_.OnChange([this](const ObjectKey& key, const RawObject*, const RawObject* now) {
    if (now != nullptr && NeedsDeletion(now->object)) queue_.Add(key);
  });
}

void NamespaceController::Start() { queue_.Resume(); }

void NamespaceController::Sync(const ObjectKey& key, Queue::Done done) {
  const RawObject* found = namespaces_.Find(key);
  if (found == nullptr || !NeedsDeletion(found->object)) return done(absl::OkStatus());
  auto job = std::make_shared<Job>();
  job->ns = found->object;
  job->name = key.name;
  job->done = std::move(done);
  DiscoverResources(
      context_.client, [this, job](absl::StatusOr<std::vector<DiscoveredResource>> resources) {
        if (!resources.ok()) {
          job->content.discovery_error = base::ToStd(resources.status().message());
          return OneLess(job);
        }
        for (const DiscoveredResource& resource : *resources) {
          if (!resource.namespaced || !resource.Can("delete") || !resource.Can("list")) {
            continue;
          }
          ++job->left;
          DeleteContent(job, resource);
        }
        OneLess(job);
      });
}

void NamespaceController::DeleteContent(const std::shared_ptr<Job>& job,
                                        const DiscoveredResource& resource) {
  if (!resource.Can("deletecollection")) return CountContent(job, resource);
  context_.client.Call("DELETE", resource.resource.Path(job->name), "application/json",
                       R"({"kind":"DeleteOptions","apiVersion":"v1",)"
                       R"("propagationPolicy":"Background"})",
                       [this, job, resource](absl::StatusOr<json::value> answer) {
                         if (!answer.ok() && !IsReason(answer.status(), "NotFound") &&
                             !IsReason(answer.status(), "MethodNotAllowed")) {
                           job->content.deletion_error = base::ToStd(answer.status().message());
                         }
                         CountContent(job, resource);
                       });
}

void NamespaceController::CountContent(const std::shared_ptr<Job>& job,
                                       const DiscoveredResource& resource) {
  context_.client.List(resource.resource, job->name, "limit=500",
                       [this, job, resource](absl::StatusOr<json::value> list) {
                         Counted(job, resource, list);
                         OneLess(job);
                       });
}

void NamespaceController::Counted(const std::shared_ptr<Job>& job,
                                  const DiscoveredResource& resource,
                                  const absl::StatusOr<json::value>& list) {
  if (!list.ok()) {
    if (!IsReason(list.status(), "NotFound")) {
      job->content.deletion_error = base::ToStd(list.status().message());
    }
    return;
  }
  const json::array& items = ArrayAt(*list, {"items"});
  if (items.empty()) return;
  job->content.remaining[Qualified(resource.resource)] =
      static_cast<int64_t>(items.size()) + IntAt(*list, {"metadata", "remainingItemCount"});
  for (const json::value& item : items) {
    for (const json::value& finalizer : ArrayAt(item, {"metadata", "finalizers"})) {
      if (finalizer.is_string()) {
        ++job->content.finalizers[std::string(View(finalizer.get_string()))];
      }
    }
    if (resource.Can("deletecollection") ||
        !StringAt(item, {"metadata", "deletionTimestamp"}).empty()) {
      continue;
    }
    context_.client.Delete(resource.resource, job->name, StringAt(item, {"metadata", "name"}),
                           nullptr, [](absl::StatusOr<json::value>) {});
  }
}

void NamespaceController::OneLess(const std::shared_ptr<Job>& job) {
  if (--job->left == 0) Conclude(job);
}

void NamespaceController::Conclude(const std::shared_ptr<Job>& job) {
  const NamespaceVerdict verdict = JudgeNamespace(job->ns, job->content, context_.now());
  if (verdict.may_finalize) {
    context_.client.Call(
        "PUT", kNamespaces.Path({}, job->name, "finalize"), "application/json",
        ToJson(Finalized(job->ns)), [job](absl::StatusOr<json::value> answer) {
          job->done(IsReason(answer.status(), "NotFound") ? absl::OkStatus() : answer.status());
        });
    return;
  }
  queue_.AddAfter({"", job->name}, kLookAgain);
  json::object patch = ShallowPatch(ObjectAt(job->ns, {"status"}), verdict.status);
  if (patch.empty()) return job->done(absl::OkStatus());
  context_.client.Patch(
      kNamespaces, "", job->name, kMergePatch,
      {{"metadata", {{"uid", StringAt(job->ns, {"metadata", "uid"})}}},
       {"status", std::move(patch)}},
      [job](absl::StatusOr<json::value> answer) {
        job->done(IsReason(answer.status(), "NotFound") ? absl::OkStatus() : answer.status());
      },
      "status");
}

}  // namespace keel::orchestrator
