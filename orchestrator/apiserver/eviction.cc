// Eviction: a deletion that asks the disruption budgets first.
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/decode_body.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

constexpr std::string_view kBudgets = "poddisruptionbudgets.policy";

// Such a pod's going disrupts nobody.
bool NeedsNoBudget(const json::object& pod) {
  const std::string_view phase = StringAt(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed" || phase == "Pending" ||
         !StringAt(pod, {"metadata", "deletionTimestamp"}).empty();
}

absl::Status WouldViolate(const json::object& budget) {
  ApiError error = ApiErrorOf(
      TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0));
  error.details["causes"] = json::array{json::object{
      {"reason", "DisruptionBudget"},
      {"message",
       base::StrCat("The disruption budget ", StringAt(budget, {"metadata", "name"}), " needs ",
                    IntAt(budget, {"status", "desiredHealthy"}), " healthy pods and has ",
                    IntAt(budget, {"status", "currentHealthy"}), " currently")}}};
  return error.ToStatus();
}

// One disruption taken from the budget.
absl::StatusOr<WritePlan> Spend(const json::object* budget, const std::string& pod) {
  if (budget == nullptr) return WritePlan{.what = WritePlan::What::kNothing};
  if (IntAt(*budget, {"status", "observedGeneration"}) <
      IntAt(*budget, {"metadata", "generation"})) {
    return TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget: the budget has not been "
        "looked at since it was changed",
        10);
  }
  const int64_t allowed = IntAt(*budget, {"status", "disruptionsAllowed"});
  if (allowed <= 0) return WouldViolate(*budget);
  WritePlan plan{.object = *budget};
  *Ensure(plan.object, {"status", "disruptionsAllowed"}) = allowed - 1;
  *Ensure(plan.object, {"status", "disruptedPods", pod}) = orchestrator::FormatTime(absl::Now());
  return plan;
}

}  // namespace

void ObjectApi::Evict(RequestPtr request, KindPtr pods) {
  auto body = DecodeBody(request->http.Header("content-type"), request->http.body, "Eviction");
  if (!body.ok()) return request->Fail(body.status());
  if (!body->is_object()) {
    return request->Fail(BadRequest("the body of the request is no Eviction"));
  }
  const json::value* asked = Find(*body, {"deleteOptions"});
  auto options = ParseDeletionOptions(asked == nullptr ? json::value() : *asked);
  if (!options.ok()) return request->Fail(options.status());
  if (request->info.query.Get("dryRun") == "All") options->dry_run = true;
  context_.cache.WhenCurrent([this, request, pods, options = *options](absl::Status status) {
    if (!status.ok()) return request->Fail(status);
    const auto pod = context_.cache.Get("pods", request->info.ns, request->info.name);
    if (!pod.has_value()) return request->Fail(NotFound("pods", request->info.name));
    // Before a budget is spent.
    if (context_.admission != nullptr) {
      AdmissionRequest admission{.attributes = request->info.AttributesFor(request->user),
                                 .kind = pods,
                                 .dry_run = options.dry_run,
                                 .before = pod->object.get()};
      if (absl::Status refused = context_.admission->Validate(admission); !refused.ok()) {
        return request->Fail(refused);
      }
    }
    auto remove = [this, request, pods, options] {
      DeleteObject(request, pods, request->info.ns, request->info.name, options,
                   [request](absl::StatusOr<Written> written) {
                     if (!written.ok()) return request->Fail(written.status());
                     request->SendJson(201, json::object{{"kind", "Status"},
                                                         {"apiVersion", "v1"},
                                                         {"metadata", json::object()},
                                                         {"status", "Success"}});
                   });
    };
    if (NeedsNoBudget(*pod->object)) return remove();
    std::vector<std::string> budgets;
    for (const auto& budget : context_.cache.List(kBudgets, request->info.ns)) {
      auto selector = LabelSelector::FromObject(Find(*budget.object, {"spec", "selector"}));
      if (selector.ok() && selector->Matches(ObjectAt(*pod->object, {"metadata", "labels"}))) {
        budgets.emplace_back(StringAt(*budget.object, {"metadata", "name"}));
      }
    }
    if (budgets.empty()) return remove();
    if (budgets.size() > 1) {
      return request->Fail(Internal(
          "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
          "not support."));
    }
    writer_.Write(
        {.resource = std::string(kBudgets),
         .ns = request->info.ns,
         .name = budgets[0],
         .dry_run = options.dry_run},
        [name = request->info.name](const json::object* before) { return Spend(before, name); },
        [request, remove](absl::StatusOr<Written> written) {
          if (!written.ok()) return request->Fail(written.status());
          remove();
        });
  });
}

void ObjectApi::FinalizeNamespace(RequestPtr request, KindPtr kind) {
  auto decoded = DecodeObject(*request, *kind);
  if (!decoded.ok()) return request->Fail(decoded.status());
  writer_.Write(
      TargetOf(*request, *kind, false),
      [request, kind,
       wanted = *std::move(decoded)](const json::object* before) -> absl::StatusOr<WritePlan> {
        if (before == nullptr) return NotFound(kind->resource(), request->info.name);
        const std::string_view version = StringAt(wanted, {"metadata", "resourceVersion"});
        if (!version.empty() && version != StringAt(*before, {"metadata", "resourceVersion"})) {
          return Conflict(kind->resource(), request->info.name,
                          "the object has been modified; please apply your changes to the latest "
                          "version and try again");
        }
        WritePlan plan{.object = *before};
        json::array finalizers = ArrayAt(wanted, {"spec", "finalizers"});
        if (finalizers.empty()) {
          plan.object["spec"] = json::object();
        } else {
          plan.object["spec"] = json::object{{"finalizers", std::move(finalizers)}};
        }
        if (GoesNow(*kind, plan.object)) plan.what = WritePlan::What::kDelete;
        return plan;
      },
      [this, request, kind](absl::StatusOr<Written> written) {
        if (!written.ok()) return request->Fail(written.status());
        Answer(*request, kind, 200, *written);
      });
}

}  // namespace keel::orchestrator
