#include "orchestrator/apiserver/usage_api.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/strings.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/list_stream.h"
#include "orchestrator/apiserver/object_selector.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kParsedPerTurn = 200;   // pods: a few milliseconds
constexpr size_t kSeenPerTurn = 20'000;  // pods that are only looked at
constexpr std::string_view kWindow = "30s";

size_t FieldOf(const Kind& kind, std::string_view path) {
  const auto& fields = kind.selectable_fields;
  const auto found = std::find(fields.begin(), fields.end(), path);
  KEEL_CHECK(found != fields.end());
  return static_cast<size_t>(found - fields.begin());
}

// The metrics of `of`, up to the figures.
json::object MetricsOf(const Kind& kind, const CachedObject& of, std::string_view time) {
  json::object metadata{{"name", of.name}};
  if (kind.namespaced) metadata["namespace"] = of.ns;
  metadata["creationTimestamp"] = json::string(time);
  json::object labels;
  for (const auto& [name, value] : of.facts->labels) labels[name] = value;
  if (!labels.empty()) metadata["labels"] = std::move(labels);
  return {{"kind", kind.kind},
          {"apiVersion", kind.api_version()},
          {"metadata", std::move(metadata)},
          {"timestamp", json::string(time)},
          {"window", kWindow}};
}

CachedObjectPtr Made(const CachedObject& of, const json::object& metrics) {
  auto made = std::make_shared<CachedObject>();
  made->ns = of.ns;
  made->name = of.name;
  made->facts = of.facts;
  made->bytes = ToJson(metrics);
  return made;
}

}  // namespace

struct UsageApi::Pass {
  RequestPtr request;
  std::shared_ptr<const Kind> kind;
  ObjectSelector selector{};  // of pods, or of nodes
  std::string time{};
  std::string only_node{};                 // empty: any
  std::string from_ns{}, from_name{};      // the pod to go on at
  std::vector<CachedObjectPtr> metrics{};  // made so far
  absl::flat_hash_map<std::string, Usage> by_node{};

  bool of_pods() const { return kind->namespaced; }
};

UsageApi::UsageApi(ServerContext& context, const Presenter& presenter,
                   std::unique_ptr<UsageSource> source)
    : context_(context), presenter_(presenter), source_(std::move(source)) {
  const auto pods = context_.kinds.FindByResource("", "v1", "pods");
  KEEL_CHECK(pods != nullptr);
  phase_field_ = FieldOf(*pods, "status.phase");
  node_field_ = FieldOf(*pods, "spec.nodeName");
}

void UsageApi::Serve(RequestPtr request, std::shared_ptr<const Kind> kind) {
  const RequestInfo& info = request->info;
  auto selector = ObjectSelector::Parse(*context_.kinds.FindByResource("", "v1", kind->plural),
                                        info.ns, info.name, info.query.Get("labelSelector"),
                                        info.query.Get("fieldSelector"));
  if (!selector.ok()) return request->Fail(selector.status());
  auto pass = std::make_shared<Pass>(Pass{.request = std::move(request), .kind = std::move(kind)});
  pass->selector = *std::move(selector);
  pass->time = orchestrator::FormatTime(absl::Now());
  if (info.verb == "get" && pass->of_pods()) {
    const CachedObjectPtr pod = context_.cache.Resource("pods").Find(info.ns, info.name);
    if (pod != nullptr) Take(*pass, *pod);
    return Finish(*pass);
  }
  if (info.verb == "get") pass->only_node = info.name;
  GoOn(pass);
}

void UsageApi::GoOn(const std::shared_ptr<Pass>& pass) {
  size_t parsed = 0, seen = 0;
  bool more = false;
  context_.cache.Resource("pods").ForEach(pass->of_pods() ? pass->selector.ns() : "", pass->from_ns,
                                          pass->from_name, [&](const CachedObjectPtr& pod) {
                                            if (parsed == kParsedPerTurn || seen == kSeenPerTurn) {
                                              more = true;
                                              pass->from_ns = pod->ns;
                                              pass->from_name = pod->name;
                                              return false;
                                            }
                                            ++seen;
                                            if (Take(*pass, *pod)) ++parsed;
                                            return true;
                                          });
  if (!more) return Finish(*pass);
  context_.loop.Post([this, alive = alive_, pass] {
    if (*alive) GoOn(pass);
  });
}

bool UsageApi::Take(Pass& pass, const CachedObject& pod) const {
  const std::vector<std::string>& fields = pod.facts->fields;
  const std::string& node_name = fields[node_field_];
  if (fields[phase_field_] != "Running" || node_name.empty()) return false;
  if (!pass.only_node.empty() && node_name != pass.only_node) return false;
  if (pass.of_pods() && !pass.selector.Matches(pod)) return false;
  const CachedObjectPtr node = context_.cache.Resource("nodes").Find("", node_name);
  if (node == nullptr || !source_->Knows(*node)) return false;
  const auto object = pod.Parse();
  if (!object.ok() || !RunsAndIsReady(*object)) return true;
  const std::vector<ContainerUsage> used = source_->OfPod(*object);
  if (!pass.of_pods()) {
    Usage& sum = pass.by_node[node_name];
    for (const ContainerUsage& container : used) sum += container.usage;
    return true;
  }
  json::array containers;
  for (const ContainerUsage& container : used) {
    containers.push_back(
        json::object{{"name", container.name}, {"usage", container.usage.ToJson()}});
  }
  json::object metrics = MetricsOf(*pass.kind, pod, pass.time);
  metrics["containers"] = std::move(containers);
  pass.metrics.push_back(Made(pod, metrics));
  return true;
}

void UsageApi::Finish(Pass& pass) const {
  Request& request = *pass.request;
  if (!pass.of_pods()) {
    context_.cache.Resource("nodes").ForEach("", "", "", [&](const CachedObjectPtr& node) {
      if (!pass.selector.Matches(*node) || !source_->Knows(*node)) return true;
      json::object metrics = MetricsOf(*pass.kind, *node, pass.time);
      metrics["usage"] = source_->OfNode(*node, pass.by_node[node->name]).ToJson();
      pass.metrics.push_back(Made(*node, metrics));
      return true;
    });
  }
  Presenter::View view = presenter_.ViewOf(pass.kind, request.format, request.info.query);
  if (request.info.verb == "list") {
    return SendList(request, presenter_, std::move(view), json::object(), std::move(pass.metrics));
  }
  if (pass.metrics.empty()) {
    return request.Fail(
        NotFound(pass.kind->resource(), pass.of_pods()
                                            ? base::StrCat(request.info.ns, "/", request.info.name)
                                            : request.info.name));
  }
  auto bytes = presenter_.Object(view, pass.metrics.front()->bytes);
  if (!bytes.ok()) return request.Fail(bytes.status());
  request.SendJsonBytes(200, *std::move(bytes));
}

}  // namespace keel::orchestrator
