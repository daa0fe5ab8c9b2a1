// DELETE of one object and of all that a selector means.
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/decode_body.h"
#include "orchestrator/apiserver/delete_rules.h"
#include "orchestrator/apiserver/object_api.h"
#include "orchestrator/apiserver/object_selector.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kCollectionAtOnce = 16;

absl::StatusOr<DeletionOptions> OptionsOf(const Request& request) {
  json::value body;
  if (!request.http.body.empty()) {
    KEEL_ASSIGN_OR_RETURN(
        body, DecodeBody(request.http.Header("content-type"), request.http.body, "DeleteOptions"));
  }
  KEEL_ASSIGN_OR_RETURN(DeletionOptions options, ParseDeletionOptions(body));
  const QueryParams& query = request.info.query;
  if (query.Has("gracePeriodSeconds")) {
    KEEL_ASSIGN_OR_RETURN(options.grace_period_seconds, query.Number("gracePeriodSeconds", 0));
  }
  if (!query.Get("propagationPolicy").empty()) {
    options.propagation = std::string(query.Get("propagationPolicy"));
  }
  if (query.Get("dryRun") == "All") options.dry_run = true;
  return options;
}

}  // namespace

void ObjectApi::DeleteObject(RequestPtr request, KindPtr kind, std::string ns, std::string name,
                             DeletionOptions options, Writer::Done done) {
  WriteTarget target{
      .resource = kind->stored_resource(), .ns = ns, .name = name, .dry_run = options.dry_run};
  writer_.Write(
      std::move(target),
      [this, request, kind, options, name,
       ns](const json::object* before) -> absl::StatusOr<WritePlan> {
        if (before == nullptr) return NotFound(kind->resource(), name);
        KEEL_RETURN_IF_ERROR(CheckDeletionPreconditions(*kind, options, *before));
        WritePlan plan;
        if (context_.admission != nullptr) {
          AdmissionRequest admission{.attributes = request->info.AttributesFor(request->user),
                                     .kind = kind,
                                     .dry_run = options.dry_run,
                                     .before = before};
          admission.attributes.verb = "delete";
          admission.attributes.ns = ns;
          admission.attributes.name = name;
          KEEL_RETURN_IF_ERROR(context_.admission->Validate(admission));
          plan.side_writes = std::move(admission.side_writes);
        }
        plan.object = *before;
        MarkDeleted(*kind, options, absl::Now(), plan.object);
        if (kind->group.empty() && kind->plural == "namespaces") {
          *Ensure(plan.object, {"status", "phase"}) = "Terminating";
        }
        if (GoesNow(*kind, plan.object)) {
          plan.what = WritePlan::What::kDelete;
        }
        KEEL_RETURN_IF_ERROR(Reserve(*kind, before, plan));
        return plan;
      },
      std::move(done));
}

void ObjectApi::Delete(RequestPtr request, KindPtr kind) {
  auto options = OptionsOf(*request);
  if (!options.ok()) return request->Fail(options.status());
  DeleteObject(request, kind, request->info.ns, request->info.name, *std::move(options),
               [this, request, kind](absl::StatusOr<Written> written) {
                 if (!written.ok()) return request->Fail(written.status());
                 // As Kubernetes: pods and what still has to be finalized are shown, of others
                 // the fact is.
                 const bool is_pod = kind->group.empty() && kind->plural == "pods";
                 if (!written->deleted || is_pod) {
                   return Answer(*request, kind, 200, *written);
                 }
                 auto object = ParseJson(written->bytes);
                 json::object details;
                 details["name"] = request->info.name;
                 if (!kind->group.empty()) details["group"] = kind->group;
                 details["kind"] = kind->plural;
                 if (object.ok()) {
                   const std::string uid(StringAt(*object, {"metadata", "uid"}));
                   details["uid"] = uid;
                 }
                 request->SendJson(200, json::object{{"kind", "Status"},
                                                     {"apiVersion", "v1"},
                                                     {"metadata", json::object()},
                                                     {"status", "Success"},
                                                     {"details", std::move(details)}});
               });
}

void ObjectApi::DeleteCollection(RequestPtr request, KindPtr kind) {
  auto options = OptionsOf(*request);
  if (!options.ok()) return request->Fail(options.status());
  auto selector = ObjectSelector::Parse(*SelectableOf(context_.kinds, kind), request->info.ns, "",
                                        request->info.query.Get("labelSelector"),
                                        request->info.query.Get("fieldSelector"));
  if (!selector.ok()) return request->Fail(selector.status());
  struct Collection {
    RequestPtr request;
    KindPtr kind;
    DeletionOptions options;
    std::vector<CachedObjectPtr> objects;
    size_t next = 0, running = 0;
    absl::Status failed;
    std::function<void()> step;
  };
  auto all = std::make_shared<Collection>();
  all->request = request;
  all->kind = kind;
  all->options = *std::move(options);
  context_.cache.WhenCurrent([this, all, selector = *std::move(selector)](absl::Status status) {
    if (!status.ok()) return all->request->Fail(status);
    context_.cache.Resource(all->kind->stored_resource())
        .ForEach(selector.ns(), "", "", [&](const CachedObjectPtr& object) {
          if (selector.Matches(*object)) all->objects.push_back(object);
          return true;
        });
    all->step = [this, all = all.get(), weak = std::weak_ptr(all)] {
      auto keep = weak.lock();
      while (all->running < kCollectionAtOnce && all->next < all->objects.size() &&
             all->failed.ok()) {
        const CachedObjectPtr object = all->objects[all->next++];
        ++all->running;
        DeleteObject(all->request, all->kind, object->ns, object->name, all->options,
                     [keep](absl::StatusOr<Written> written) {
                       --keep->running;
                       if (!written.ok() && !IsReason(written.status(), "NotFound")) {
                         keep->failed = written.status();
                       }
                       keep->step();
                     });
      }
      if (all->running > 0 || all->request->answered()) return;
      if (!all->failed.ok()) return all->request->Fail(all->failed);
      const auto view =
          presenter_.ViewOf(all->kind, all->request->format, all->request->info.query);
      std::string body = presenter_.ListHead(
          view, {{"resourceVersion", std::to_string(context_.cache.revision())}});
      bool first = true;
      for (const CachedObjectPtr& object : all->objects) {
        auto item = presenter_.Item(view, object->bytes);
        if (!item.ok()) continue;
        if (!std::exchange(first, false)) body += ',';
        body += *item;
      }
      body += presenter_.ListTail();
      all->request->SendJsonBytes(200, std::move(body));
    };
    all->step();
  });
}

}  // namespace keel::orchestrator
