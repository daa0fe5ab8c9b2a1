#include "orchestrator/controllers/autoscaler_controller.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

const Resource kAutoscalers{"autoscaling", "v2", "horizontalpodautoscalers"};

// Labels as a scale's selector writes them: "a=b,c=d". Sets are not written so: they match nothing.
bool Matches(std::string_view selector, const PodInfo& pod) {
  if (selector.empty()) return false;
  for (absl::string_view part : absl::StrSplit(base::ToAbsl(selector), ',')) {
    const std::pair<std::string, std::string> label = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pod.Label(label.first) != std::string_view(label.second)) return false;
  }
  return true;
}

// What a kind's path is made of; kinds of others as most are called.
Resource TargetOf(const json::object& hpa) {
  const std::string_view version = StringAt(hpa, {"spec", "scaleTargetRef", "apiVersion"});
  const size_t slash = version.find('/');
  Resource resource;
  resource.version = slash == version.npos ? version : version.substr(slash + 1);
  if (slash != version.npos) resource.group = version.substr(0, slash);
  resource.plural =
      absl::AsciiStrToLower(base::ToAbsl(StringAt(hpa, {"spec", "scaleTargetRef", "kind"}))) + "s";
  return resource;
}

}  // namespace

struct AutoscalerController::Turn {
  ObjectKey key;
  json::object hpa;
  json::value scale;
  Queue::Done done;
};

absl::flat_hash_map<std::string, PodUsage> UsageFromMetrics(const json::value& list) {
  absl::flat_hash_map<std::string, PodUsage> usage;
  for (const json::value& pod : ArrayAt(list, {"items"})) {
    PodUsage& each = usage[std::string(StringAt(pod, {"metadata", "name"}))];
    for (const json::value& container : ArrayAt(pod, {"containers"})) {
      if (const json::value* cpu = Find(container, {"usage", "cpu"})) {
        each.cpu_milli += QuantityAt(*cpu, 1000);
      }
      if (const json::value* memory = Find(container, {"usage", "memory"})) {
        each.memory_bytes += QuantityAt(*memory, 1);
      }
    }
  }
  return usage;
}

AutoscalerController::AutoscalerController(ControllerContext& context)
    : context_(context),
      autoscalers_(context.shared.Get(kAutoscalers)),
      runner_(context, kAutoscalers, "HorizontalPodAutoscaler", "horizontal-pod-autoscaler"),
      queue_(context.loop, {.workers = context.concurrency("horizontal-pod-autoscaler", 5)},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  const auto read = [&](std::string_view flag, absl::Duration& into) {
    const std::string text = context.flag(flag);
    absl::Duration value;
    if (absl::ParseDuration(text, &value) && value > absl::ZeroDuration()) into = value;
  };
  read("horizontal-pod-autoscaler-sync-period", period_);
  read("horizontal-pod-autoscaler-downscale-stabilization", downscale_stabilization_);
  autoscalers_.OnChange(
      [this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
        if (now == nullptr) memories_.erase(key);
        // Its own status is no news.
        if (before != nullptr && now != nullptr &&
            ObjectAt(before->object, {"spec"}) == ObjectAt(now->object, {"spec"})) {
          return;
        }
        queue_.Add(key);
      });
}

void AutoscalerController::Start() {
  queue_.Resume();
  Tick();
}

void AutoscalerController::Tick() {
  for (const auto& [key, autoscaler] : autoscalers_.objects()) queue_.Add(key);
  context_.loop.After(absl::ToChronoNanoseconds(period_), [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) Tick();
  });
}

void AutoscalerController::Sync(const ObjectKey& key, Queue::Done done) {
  const RawObject* found = autoscalers_.Find(key);
  if (found == nullptr) return done(absl::OkStatus());
  auto turn = std::make_shared<Turn>();
  turn->key = key;
  turn->hpa = found->object;
  turn->done = std::move(done);
  context_.client.Call(
      "GET",
      TargetOf(turn->hpa).Path(key.ns, StringAt(turn->hpa, {"spec", "scaleTargetRef", "name"}),
                               "scale"),
      "", "",
      [this, turn](absl::StatusOr<json::value> scale) { GotScale(turn, std::move(scale)); });
}

void AutoscalerController::GotScale(const std::shared_ptr<Turn>& turn,
                                    absl::StatusOr<json::value> scale) {
  if (!scale.ok()) {
    return Fail(turn, "FailedGetScale",
                base::StrCat("the HPA controller was unable to get the target's current scale: ",
                             scale.status().message()));
  }
  turn->scale = *std::move(scale);
  const Resource metrics{"metrics.k8s.io", "v1beta1", "pods"};
  const std::string_view selector = StringAt(turn->scale, {"status", "selector"});
  context_.client.Call(
      "GET", base::StrCat(metrics.Path(turn->key.ns), "?labelSelector=", QueryEscape(selector)), "",
      "",
      [this, turn](absl::StatusOr<json::value> answer) { GotMetrics(turn, std::move(answer)); });
}

void AutoscalerController::GotMetrics(const std::shared_ptr<Turn>& turn,
                                      absl::StatusOr<json::value> metrics) {
  AutoscalerState state{.hpa = turn->hpa,
                        .spec_replicas = IntAt(turn->scale, {"spec", "replicas"}),
                        .status_replicas = IntAt(turn->scale, {"status", "replicas"}),
                        .now = context_.now(),
                        .downscale_stabilization = downscale_stabilization_};
  const std::string_view selector = StringAt(turn->scale, {"status", "selector"});
  for (const ObjectKey& key : context_.pods.InNamespace(turn->key.ns)) {
    const PodInfo* pod = context_.pods.Find(key);
    if (pod != nullptr && Matches(selector, *pod)) state.pods.push_back(pod);
  }
  if (metrics.ok() && !ArrayAt(*metrics, {"items"}).empty()) {
    state.usage = UsageFromMetrics(*metrics);
  } else {
    state.usage_error = metrics.ok()
                            ? "no metrics returned from resource metrics API"
                            : base::StrCat("unable to fetch metrics from resource metrics API: ",
                                           metrics.status().message());
  }
  // Kept when what was decided is done: else it would count as done, and limit what follows.
  AutoscalerMemory memory = memories_[turn->key];
  Autoscaled result = ReconcileAutoscaler(state, memory);
  auto finish = [this, turn, memory = std::move(memory),
                 plan = std::move(result.plan)](absl::StatusOr<json::value> set) mutable {
    // The target changed since it was read: again soon.
    if (IsReason(set.status(), "Conflict")) return turn->done(set.status());
    if (!set.ok()) {
      return Fail(turn, "FailedUpdateScale",
                  base::StrCat("the HPA controller was unable to update the target scale: ",
                               set.status().message()));
    }
    // Unless the autoscaler is gone by now.
    if (const auto kept = memories_.find(turn->key); kept != memories_.end()) {
      kept->second = std::move(memory);
    }
    if (plan.empty()) return turn->done(absl::OkStatus());
    runner_.Run(turn->hpa, std::move(plan),
                [turn](absl::Status status) { turn->done(std::move(status)); });
  };
  if (!result.replicas.has_value()) return finish(json::value(nullptr));
  *Ensure(turn->scale, {"spec", "replicas"}) = *result.replicas;
  context_.client.Call(
      "PUT",
      TargetOf(turn->hpa).Path(turn->key.ns,
                               StringAt(turn->hpa, {"spec", "scaleTargetRef", "name"}), "scale"),
      "application/json", ToJson(turn->scale), std::move(finish));
}

void AutoscalerController::Fail(const std::shared_ptr<Turn>& turn, std::string_view reason,
                                std::string message) {
  Plan plan;
  json::object status = ObjectAt(turn->hpa, {"status"});
  json::array conditions = ArrayAt(turn->hpa, {"status", "conditions"});
  SetCondition(conditions, "AbleToScale", false, reason, message, context_.now());
  status["conditions"] = std::move(conditions);
  if (Find(status, {"desiredReplicas"}) == nullptr) status["desiredReplicas"] = 0;
  if (status != ObjectAt(turn->hpa, {"status"})) plan.status = std::move(status);
  plan.notes.push_back({true, std::string(reason), std::move(message)});
  runner_.Run(turn->hpa, std::move(plan),
              [turn](absl::Status written) { turn->done(std::move(written)); });
}

}  // namespace keel::orchestrator
