#include "bench/pods/pod_load.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/strings.h"

namespace keel::bench {
namespace {

using base::StrCat;
using orchestrator::Ensure;
using orchestrator::IsReason;
using orchestrator::kMergePatch;
using orchestrator::Resource;
using orchestrator::StringAt;
namespace json = orchestrator::json;

const Resource& Pods() {
  static const auto* resource = new Resource{"", "v1", "pods"};
  return *resource;
}

std::string NameOf(uint32_t pod) { return StrCat("pod-", pod); }

// 0 of what NameOf did not make.
uint32_t NumberOf(std::string_view name) {
  const size_t dash = name.rfind('-');
  uint32_t pod = 0;
  if (dash == name.npos || !absl::SimpleAtoi(base::ToAbsl(name.substr(dash + 1)), &pod)) return 0;
  return pod;
}

double Ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }

json::object Summary(const Histogram& of) {
  return {{"count", of.count()},
          {"p50_ms", Ms(of.Percentile(50))},
          {"p99_ms", Ms(of.Percentile(99))},
          {"max_ms", Ms(of.max())}};
}

double Seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

PodLoad::Info PodLoad::Info::Parse(const json::object& pod) {
  const std::string_view phase = StringAt(pod, {"status", "phase"});
  return {.bound = !StringAt(pod, {"spec", "nodeName"}).empty(), .running = phase == "Running"};
}

PodLoad::PodLoad(orchestrator::ApiClient& client, PodLoadOptions options)
    : client_(client),
      options_(options),
      informer_(client, Pods(), {.label_selector = "load=pods"}) {}

PodLoad::~PodLoad() = default;

std::string PodLoad::NamespaceOf(uint32_t pod) const {
  return StrCat("load-", pod % options_.namespaces);
}

json::value PodLoad::PodObject(uint32_t pod) const {
  const std::string group = StrCat("g", pod / options_.group_size);
  json::object spec{
      {"containers", json::array{json::object{
                         {"name", "main"},
                         {"image", "registry.example/load:1"},
                         {"resources", {{"requests", {{"cpu", "10m"}, {"memory", "16Mi"}}}}}}}}};
  if (options_.affinity) {
    spec["affinity"] = {
        {"podAntiAffinity",
         {{"requiredDuringSchedulingIgnoredDuringExecution",
           json::array{json::object{{"topologyKey", "kubernetes.io/hostname"},
                                    {"namespaces", json::array{json::value(NamespaceOf(pod))}},
                                    {"labelSelector", {{"matchLabels", {{"group", group}}}}}}}}}},
        {"nodeAffinity",
         {{"preferredDuringSchedulingIgnoredDuringExecution",
           json::array{
               json::object{{"weight", 10},
                            {"preference",
                             {{"matchExpressions",
                               json::array{json::object{
                                   {"key", "topology.kubernetes.io/zone"},
                                   {"operator", "In"},
                                   {"values", json::array{StrCat("zone-", pod % 3)}}}}}}}}}}}}};
  }
  return json::object{{"apiVersion", "v1"},
                      {"kind", "Pod"},
                      {"metadata",
                       {{"name", NameOf(pod)},
                        {"namespace", NamespaceOf(pod)},
                        {"labels", {{"load", "pods"}, {"group", group}}}}},
                      {"spec", std::move(spec)}};
}

void PodLoad::Start(std::function<void(absl::Status)> done) {
  done_ = std::move(done);
  client_.loop().After(options_.timeout, [this, weak = std::weak_ptr(alive_)] {
    if (weak.expired()) return;
    Finish(
        absl::DeadlineExceededError(StrCat("created ", created_, ", bound ", bound_, ", running ",
                                           running_, " of ", options_.pods, " ", first_error_)));
  });
  CreateNamespaces(0);
}

void PodLoad::CreateNamespaces(uint32_t next) {
  if (next == options_.namespaces || !options_.create) {
    informer_.OnChange([this](const orchestrator::ObjectKey& key, const Info*, const Info* now) {
      OnPod(key, now);
    });
    informer_.Start([this] { Begin(); });
    return;
  }
  const json::value object{
      {"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", StrCat("load-", next)}}}};
  client_.Create({"", "v1", "namespaces"}, "", object,
                 [this, weak = std::weak_ptr(alive_), next](absl::StatusOr<json::value> answer) {
                   if (weak.expired()) return;
                   if (!answer.ok() && !IsReason(answer.status(), "AlreadyExists")) {
                     return Finish(answer.status());
                   }
                   WaitForAccount(next);
                 });
}

// A controller makes it; pods are refused before.
void PodLoad::WaitForAccount(uint32_t next) {
  client_.Get({"", "v1", "serviceaccounts"}, StrCat("load-", next), "default",
              [this, weak = std::weak_ptr(alive_), next](absl::StatusOr<json::value> answer) {
                if (weak.expired() || !done_) return;
                if (answer.ok()) return CreateNamespaces(next + 1);
                if (!IsReason(answer.status(), "NotFound")) return Finish(answer.status());
                client_.loop().After(std::chrono::milliseconds(20), [this, weak, next] {
                  if (!weak.expired() && done_) WaitForAccount(next);
                });
              });
}

void PodLoad::Begin() {
  began_ = last_created_ = client_.loop().Now();
  if (!options_.create) return FinishIfDone();
  times_.reserve(options_.pods);
  if (options_.rate > 0) {
    Pace();
  } else {
    while (next_ < options_.pods && in_flight_ < options_.concurrency) {
      Create(client_.loop().Now());
    }
  }
  if (options_.reads_per_s > 0) Read();
}

void PodLoad::Pace() {
  if (!done_) return;
  const base::TimePoint now = client_.loop().Now();
  for (; next_ < options_.pods;) {
    const auto due = began_ + base::Duration(static_cast<int64_t>(next_ / options_.rate * 1e9));
    if (due > now) {
      client_.loop().After(due - now, [this, weak = std::weak_ptr(alive_)] {
        if (!weak.expired()) Pace();
      });
      return;
    }
    Create(due);
  }
}

void PodLoad::Create(base::TimePoint due) {
  const uint32_t pod = options_.first + next_++;
  ++in_flight_;
  times_[{NamespaceOf(pod), NameOf(pod)}].due = due;
  client_.Create(Pods(), NamespaceOf(pod), PodObject(pod),
                 [this, weak = std::weak_ptr(alive_), due](absl::StatusOr<json::value> answer) {
                   if (!weak.expired()) Created(due, answer.status());
                 });
}

void PodLoad::Created(base::TimePoint due, const absl::Status& status) {
  --in_flight_;
  last_created_ = client_.loop().Now();
  if (!status.ok()) {
    if (first_error_.empty()) first_error_ = base::ToStd(status.message());
    return Finish(status);
  }
  ++created_;
  create_ns_.Record((last_created_ - due).count());
  api_ns_.Record((last_created_ - due).count());
  if (options_.rate <= 0 && next_ < options_.pods) Create(last_created_);
  FinishIfDone();
}

void PodLoad::Read() {
  if (!done_) return;
  const auto period = base::Duration(static_cast<int64_t>(1e9 / options_.reads_per_s));
  client_.loop().After(period, [this, weak = std::weak_ptr(alive_)] {
    if (!weak.expired()) Read();
  });
  if (created_ == 0) return;
  // Of twenty: one list of a namespace's first 500, five patches, fourteen reads.
  const uint32_t turn = reads_++;
  const uint32_t pod = options_.first + turn * 7919 % created_;
  Histogram* histogram = turn % 20 == 0 ? &list_ns_ : turn % 4 == 1 ? &patch_ns_ : &read_ns_;
  const base::TimePoint sent = client_.loop().Now();
  auto done = [this, weak = std::weak_ptr(alive_), sent, histogram](const absl::Status& status) {
    if (weak.expired()) return;
    if (!status.ok() && !IsReason(status, "NotFound")) {
      ++failed_reads_;
      if (first_error_.empty()) first_error_ = base::ToStd(status.message());
      return;
    }
    const int64_t ns = (client_.loop().Now() - sent).count();
    histogram->Record(ns);
    api_ns_.Record(ns);
  };
  const std::string ns = NamespaceOf(pod), name = NameOf(pod);
  if (histogram == &list_ns_) {
    client_.CallBytes("GET", Pods().Path(ns) + "?limit=500", "", "",
                      [done](absl::StatusOr<std::string> answer) { done(answer.status()); });
  } else if (histogram == &patch_ns_) {
    const json::value patch{{"metadata", {{"annotations", {{"turn", std::to_string(turn)}}}}}};
    client_.Patch(Pods(), ns, name, kMergePatch, patch,
                  [done](absl::StatusOr<json::value> answer) { done(answer.status()); });
  } else {
    client_.Get(Pods(), ns, name,
                [done](absl::StatusOr<json::value> answer) { done(answer.status()); });
  }
}

void PodLoad::OnPod(const orchestrator::ObjectKey& key, const Info* now) {
  if (now == nullptr) return;
  Times* times = nullptr;
  if (options_.create) {
    const auto found = times_.find(key);
    if (found == times_.end()) return;  // Of a run before.
    times = &found->second;
  } else {
    if (NumberOf(key.name) < options_.first) return;  // Of a run before.
    times = &times_[key];
  }
  const base::TimePoint when = client_.loop().Now();
  if (now->bound && !std::exchange(times->bound, true)) {
    if (bound_++ == 0) first_bound_ = when;
    last_bound_ = when;
    if (options_.create) bound_ns_.Record((when - times->due).count());
  }
  if (now->running && !std::exchange(times->running, true)) {
    ++running_;
    if (options_.create) running_ns_.Record((when - times->due).count());
  }
  FinishIfDone();
}

void PodLoad::FinishIfDone() {
  const uint32_t reached = options_.until == Until::kCreated ? created_
                           : options_.until == Until::kBound ? bound_
                                                             : running_;
  if (reached >= options_.pods && (!options_.create || created_ >= options_.pods)) {
    Finish(absl::OkStatus());
  }
}

void PodLoad::Finish(absl::Status status) {
  if (!done_) return;
  ended_ = client_.loop().Now();
  // Not inside a handler of the informer, which the caller may now destroy.
  client_.loop().Post([done = std::exchange(done_, nullptr), status] { done(status); });
}

json::object PodLoad::Report() const {
  const double create_s = Seconds(last_created_ - began_);
  const double bind_s = Seconds(last_bound_ - first_bound_);
  return {{"pods", options_.pods},
          {"created", created_},
          {"bound", bound_},
          {"running", running_},
          {"seconds", Seconds(ended_ - began_)},
          {"creates_per_s", create_s > 0 ? created_ / create_s : 0},
          {"bound_per_s", bind_s > 0 ? bound_ / bind_s : 0},
          {"create", Summary(create_ns_)},
          {"get", Summary(read_ns_)},
          {"list", Summary(list_ns_)},
          {"patch", Summary(patch_ns_)},
          {"api", Summary(api_ns_)},
          {"until_bound", Summary(bound_ns_)},
          {"until_running", Summary(running_ns_)},
          {"failed_calls", failed_reads_},
          {"first_error", first_error_}};
}

}  // namespace keel::bench
