#include "orchestrator/node/node_reporter.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {
namespace {

const Resource& Nodes() {
  static const auto* resource = new Resource{"", "v1", "nodes"};
  return *resource;
}

const Resource& Leases() {
  static const auto* resource = new Resource{"coordination.k8s.io", "v1", "leases"};
  return *resource;
}

constexpr std::string_view kLeaseNamespace = "kube-node-lease";

}  // namespace

NodeReporter::NodeReporter(ApiClient& client, NodeSet& nodes, std::function<absl::Time()> now,
                           NodeReporterOptions options,
                           std::function<void(uint32_t node)> on_changed)
    : client_(client),
      nodes_(nodes),
      now_(std::move(now)),
      options_(options),
      on_changed_(std::move(on_changed)),
      registrations_(
          client.loop(), {.workers = options.registrations}, [this](uint32_t index, Done done) {
            Register(index, [this, index, done = std::move(done)](absl::Status status) mutable {
              if (!status.ok()) {
                base::Log().warn("not registered, tried again node={} error={}",
                                 nodes_.at(index).name, base::ToStd(status.message()));
              }
              done(std::move(status));
            });
          }) {}

NodeReporter::~NodeReporter() = default;

void NodeReporter::Start(std::function<void()> on_registered) {
  on_registered_ = std::move(on_registered);
  begin_ = client_.loop().Now();
  for (uint32_t i = 0; i < nodes_.size(); ++i) registrations_.Add(i);
  registrations_.Resume();
  reflector_ = Reflector::Start(client_, Nodes(),
                                InformerOptions{.label_selector = std::string(kDownLabel)}, *this);
  Tick();
}

// ---- Registration

void NodeReporter::Register(uint32_t index, Done done) {
  HollowNode& node = nodes_.at(index);
  node.ready_since = now_();
  client_.Create(Nodes(), "", nodes_.NodeObject(index, now_()),
                 [this, weak = std::weak_ptr(alive_), index,
                  done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
                   if (weak.expired()) return;
                   if (answer.ok()) return Registered(index, *answer, std::move(done));
                   if (!IsReason(answer.status(), "AlreadyExists")) return done(answer.status());
                   client_.Patch(
                       Nodes(), "", nodes_.at(index).name, kMergePatch, nodes_.LabelsPatch(index),
                       [this, weak, index,
                        done = std::move(done)](absl::StatusOr<json::value> patched) mutable {
                         if (weak.expired()) return;
                         if (!patched.ok()) return done(patched.status());
                         Remove(*patched, {"status"});  // Of an agent before this one.
                         Registered(index, *patched, std::move(done));
                       });
                 });
}

void NodeReporter::Registered(uint32_t index, const json::value& object, Done done) {
  nodes_.at(index).uid = StringAt(object, {"metadata", "uid"});
  if (!ArrayAt(object, {"status", "conditions"}).empty()) {
    return CreateLease(index, std::move(done));
  }
  auto shared = std::make_shared<Done>(std::move(done));
  PostStatus(index, [this, index, shared](absl::Status status) {
    if (!status.ok()) return (*shared)(status);
    CreateLease(index, std::move(*shared));
  });
}

void NodeReporter::CreateLease(uint32_t index, Done done) {
  client_.Create(Leases(), kLeaseNamespace,
                 nodes_.LeaseObject(index, absl::FromChrono(options_.lease_duration), now_()),
                 [this, weak = std::weak_ptr(alive_), index,
                  done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
                   if (weak.expired()) return;
                   const bool exists = IsReason(answer.status(), "AlreadyExists");
                   if (!answer.ok() && !exists) return done(answer.status());
                   HollowNode& node = nodes_.at(index);
                   node.renewed = now_();
                   if (!std::exchange(node.registered, true) && ++registered_ == nodes_.size() &&
                       on_registered_) {
                     on_registered_();
                   }
                   if (exists) Renew(index);
                   done(absl::OkStatus());
                 });
}

// ---- Leases and status

uint64_t NodeReporter::Due(base::Duration period) const {
  const double turns = static_cast<double>((client_.loop().Now() - begin_).count()) /
                       static_cast<double>(period.count());
  return static_cast<uint64_t>(turns * nodes_.size());
}

void NodeReporter::Tick() {
  const uint64_t renew = Due(options_.renew_period), report = Due(options_.status_period);
  // After a pause, each once and no more.
  if (renew > renewed_ + nodes_.size()) renewed_ = renew - nodes_.size();
  if (report > reported_ + nodes_.size()) reported_ = report - nodes_.size();
  while (renewed_ < renew) Renew(static_cast<uint32_t>(renewed_++ % nodes_.size()));
  while (reported_ < report) {
    PostStatus(static_cast<uint32_t>(reported_++ % nodes_.size()), [](const absl::Status&) {});
  }
  const base::Duration step = std::max<base::Duration>(
      options_.renew_period / std::max<uint32_t>(1, nodes_.size()), std::chrono::milliseconds(20));
  client_.loop().After(step, [this, weak = std::weak_ptr(alive_)] {
    if (!weak.expired()) Tick();
  });
}

void NodeReporter::Renew(uint32_t index) {
  HollowNode& node = nodes_.at(index);
  if (!node.registered || node.gone || node.down || std::exchange(node.writing, true)) return;
  const json::value patch{
      {"spec", {{"holderIdentity", node.name}, {"renewTime", FormatMicroTime(now_())}}}};
  client_.Patch(Leases(), kLeaseNamespace, node.name, kMergePatch, patch,
                [this, weak = std::weak_ptr(alive_), index](absl::StatusOr<json::value> answer) {
                  if (weak.expired()) return;
                  HollowNode& renewed = nodes_.at(index);
                  renewed.writing = false;
                  if (IsReason(answer.status(), "NotFound")) return LeaseMissing(index);
                  if (!answer.ok()) return;  // Its next turn comes.
                  const absl::Time before = std::exchange(renewed.renewed, now_());
                  if (renewed.renewed - before < absl::FromChrono(options_.lease_duration)) return;
                  // It may have been thought dead.
                  renewed.ready_since = now_();
                  PostStatus(index, [](const absl::Status&) {});
                });
}

void NodeReporter::LeaseMissing(uint32_t index) {
  client_.Get(Nodes(), "", nodes_.at(index).name,
              [this, weak = std::weak_ptr(alive_), index](absl::StatusOr<json::value> answer) {
                if (weak.expired()) return;
                HollowNode& node = nodes_.at(index);
                if (IsReason(answer.status(), "NotFound")) {
                  base::Log().info("node was deleted; it stays away node={}", node.name);
                  node.gone = true;
                  on_changed_(index);
                } else if (answer.ok()) {
                  node.uid = StringAt(*answer, {"metadata", "uid"});
                  CreateLease(index, [](const absl::Status&) {});
                }
              });
}

void NodeReporter::PostStatus(uint32_t index, std::function<void(absl::Status)> done) {
  const HollowNode& node = nodes_.at(index);
  if (node.gone || node.down) return done(absl::OkStatus());
  client_.Patch(
      Nodes(), "", node.name, kStrategicPatch, nodes_.StatusPatch(index, now_()),
      [weak = std::weak_ptr(alive_), done = std::move(done)](absl::StatusOr<json::value> answer) {
        if (!weak.expired()) done(answer.status());
      },
      "status");
}

// ---- Nodes that play dead

void NodeReporter::Listed(const json::object& object) {
  const auto index = nodes_.Find(StringAt(object, {"metadata", "name"}));
  if (!index) return;
  listed_.push_back(*index);
  SetDown(*index, true);
}

void NodeReporter::ListEnds() {
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_.at(i).down && std::find(listed_.begin(), listed_.end(), i) == listed_.end()) {
      SetDown(i, false);
    }
  }
}

void NodeReporter::Changed(const json::object& object, bool deleted) {
  const auto index = nodes_.Find(StringAt(object, {"metadata", "name"}));
  if (index) SetDown(*index, !deleted);
}

void NodeReporter::SetDown(uint32_t index, bool down) {
  HollowNode& node = nodes_.at(index);
  if (node.down == down) return;
  node.down = down;
  base::Log().info("node plays {} node={}", down ? "dead" : "alive again", node.name);
  if (!down) Renew(index);
  on_changed_(index);
}

}  // namespace keel::orchestrator
