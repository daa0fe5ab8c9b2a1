#include "orchestrator/node/pod_manager.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using State = ContainerRecord::State;
using Phase = PodRecord::Phase;

const Resource& Pods() {
  static const auto* resource = new Resource{"", "v1", "pods"};
  return *resource;
}

bool HasCondition(const json::object& object, std::string_view type) {
  const json::array& conditions = ArrayAt(object, {"status", "conditions"});
  return std::any_of(conditions.begin(), conditions.end(), [type](const json::value& condition) {
    return StringAt(condition, {"type"}) == type;
  });
}

bool SaysReady(const json::object& object) {
  for (const json::value& condition : ArrayAt(object, {"status", "conditions"})) {
    if (StringAt(condition, {"type"}) == "Ready") return StringAt(condition, {"status"}) == "True";
  }
  return false;
}

bool Restarts(const PodRecord& pod, int exit_code) {
  return pod.spec->restart_policy == RestartPolicy::kAlways ||
         (pod.spec->restart_policy == RestartPolicy::kOnFailure && exit_code != 0);
}

}  // namespace

PodManager::PodManager(ApiClient& client, NodeSet& nodes, ContainerRuntime& runtime,
                       std::function<absl::Time()> now, PodManagerOptions options)
    : client_(client),
      nodes_(nodes),
      runtime_(runtime),
      now_(std::move(now)),
      options_(options),
      writes_(client.loop(), {.workers = options.writers},
              [this](const ObjectKey& key, Done done) { Write(key, std::move(done)); }) {
  runtime_.SetEvents(*this);
  writes_.Resume();
}

PodManager::~PodManager() = default;

void PodManager::Start(std::function<void()> on_synced) {
  on_synced_ = std::move(on_synced);
  reflector_ = Reflector::Start(client_, Pods(),
                                InformerOptions{.field_selector = "spec.nodeName!="}, *this);
}

const PodRecord* PodManager::Find(const ObjectKey& key) const {
  const auto found = pods_.find(key);
  return found == pods_.end() ? nullptr : found->second.get();
}

PodRecord* PodManager::Of(PodHandle handle) {
  const auto found = by_handle_.find(handle);
  return found == by_handle_.end() ? nullptr : found->second;
}

void PodManager::NodeChanged(uint32_t node) {
  for (const auto& [key, pod] : pods_) {
    if (pod->node != node) continue;
    Advance(*pod);
    writes_.Add(key);  // What happened while nobody could say so.
  }
}

// ---- What the API says

void PodManager::ListBegins() { listed_.clear(); }

void PodManager::Listed(const json::object& object) {
  listed_.insert(KeyOf(object));
  Update(object);
}

void PodManager::ListEnds() {
  std::vector<ObjectKey> gone;
  for (const auto& [key, pod] : pods_) {
    if (!listed_.contains(key)) gone.push_back(key);
  }
  for (const ObjectKey& key : gone) Drop(key);
  absl::flat_hash_set<ObjectKey>().swap(listed_);
  if (!std::exchange(synced_, true) && on_synced_) on_synced_();
}

void PodManager::Changed(const json::object& object, bool deleted) {
  if (deleted) {
    Drop(KeyOf(object));
  } else {
    Update(object);
  }
}

void PodManager::Update(const json::object& object) {
  const ObjectKey key = KeyOf(object);
  const std::optional<uint32_t> node = nodes_.Find(StringAt(object, {"spec", "nodeName"}));
  if (!node) return Drop(key);  // Another process's.
  const std::string_view uid = StringAt(object, {"metadata", "uid"});
  auto found = pods_.find(key);
  if (found != pods_.end() && found->second->uid != uid) {
    Drop(key);
    found = pods_.end();
  }
  const bool fresh = found == pods_.end();
  if (fresh) {
    auto made = std::make_unique<PodRecord>();
    made->key = key;
    made->uid = uid;
    made->handle = next_handle_++;
    made->node = *node;
    made->spec = specs_.Intern(object);
    made->containers.resize(made->spec->size());
    made->scheduled = HasCondition(object, "PodScheduled");
    made->written_version = VersionOf(object);
    AdoptStatus(object, *made);
    if (made->phase == Phase::kRunning) ++running_;
    by_handle_[made->handle] = made.get();
    found = pods_.emplace(key, std::move(made)).first;
  }
  PodRecord& pod = *found->second;
  pod.has_finalizers = !ArrayAt(object, {"metadata", "finalizers"}).empty();
  if (!pod.deleting && !StringAt(object, {"metadata", "deletionTimestamp"}).empty()) {
    pod.deleting = true;
    pod.grace_seconds = IntAt(object, {"metadata", "deletionGracePeriodSeconds"}, 30);
  }
  if (!fresh && VersionOf(object) > pod.written_version && !pod.stopping) {
    const std::string_view phase = StringAt(object, {"status", "phase"});
    const bool ended = phase == "Succeeded" || phase == "Failed";
    if (ended && !pod.terminal()) {  // Somebody else ended it: the node was thought dead.
      SetPhase(pod, phase == "Failed" ? Phase::kFailed : Phase::kSucceeded);
      pod.end_written = true;
      Finish(pod);
    } else if (!pod.terminal() && SaysReady(object) != pod.written_ready) {
      writes_.Add(key);  // The same, about Ready.
    }
  }
  Advance(pod);
}

void PodManager::Drop(const ObjectKey& key) {
  const auto found = pods_.find(key);
  if (found == pods_.end()) return;
  PodRecord& pod = *found->second;
  if (pod.phase == Phase::kRunning) --running_;
  Finish(pod);
  pods_.erase(found);
}

// ---- Steps

PodContext PodManager::ContextOf(const PodRecord& pod) const {
  return {
      .node = pod.node, .ns = pod.key.ns, .name = pod.key.name, .uid = pod.uid, .spec = pod.spec};
}

void PodManager::Advance(PodRecord& pod) {
  const HollowNode& node = nodes_.at(pod.node);
  if (node.down || node.gone) return;
  if (pod.deleting) {
    if (!std::exchange(pod.stopping, true)) {
      if (pod.sandbox && !pod.terminal()) {
        runtime_.StopPod(pod.handle, std::chrono::seconds(std::max<int64_t>(0, pod.grace_seconds)));
      } else {
        PodStopped(pod.handle, 0);
        pod.stopped = true;
        writes_.Add(pod.key);
      }
    } else if (pod.stopped && !pod.deleted) {
      writes_.Add(pod.key);
    }
  } else if (!pod.sandbox && !pod.terminal()) {
    if (pod.phase == Phase::kRunning) {
      Adopt(pod);
    } else {
      AdmitAndRun(pod);
    }
  }
}

void PodManager::AdmitAndRun(PodRecord& pod) {
  if (const auto rejection = nodes_.Admit(pod.node, *pod.spec); rejection) {
    pod.reason = rejection->reason;
    pod.message = rejection->message;
    pod.start = now_();
    SetPhase(pod, Phase::kFailed);
    Finish(pod);
    writes_.Add(pod.key);
    return;
  }
  pod.admitted = true;
  pod.sandbox = true;
  pod.start = now_();
  runtime_.CreateSandbox(pod.handle, ContextOf(pod));
  if (options_.report_creating) writes_.Add(pod.key);
}

void PodManager::Adopt(PodRecord& pod) {
  // It runs: whether it would be admitted now is no question.
  pod.admitted = !nodes_.Admit(pod.node, *pod.spec).has_value();
  pod.sandbox = true;
  runtime_.AdoptSandbox(pod.handle, ContextOf(pod), pod.ip);
  for (size_t i = 0; i < pod.containers.size(); ++i) {
    ContainerRecord& container = pod.containers[i];
    const bool init = i < pod.spec->init_containers.size();
    if (container.state == State::kRunning) {
      runtime_.AdoptContainer(pod.handle, i, container.started);
    } else if (container.state == State::kCreating) {
      if (!init) runtime_.StartContainer(pod.handle, i, 0);
    } else if (!init && Restarts(pod, container.exit_code)) {
      RestartLater(pod, i);
    }
  }
  EndIfDone(pod);
}

void PodManager::StartNext(PodRecord& pod) {
  const size_t inits = pod.spec->init_containers.size();
  if (pod.running_inits < inits) {
    runtime_.StartContainer(pod.handle, pod.running_inits,
                            pod.containers[pod.running_inits].restarts);
    return;
  }
  pod.initialized = now_();
  for (size_t i = inits; i < pod.containers.size(); ++i) {
    runtime_.StartContainer(pod.handle, i, 0);
  }
}

base::Duration PodManager::BackOff(const ContainerRecord& container) const {
  const absl::Duration ran = container.finished - container.last_started;
  if (container.restarts == 0 || ran >= absl::FromChrono(options_.back_off_reset)) return {};
  const int doublings = std::min(container.restarts - 1, 20);
  return std::min(options_.longest_back_off, options_.back_off * (int64_t{1} << doublings));
}

void PodManager::RestartLater(PodRecord& pod, size_t index) {
  ContainerRecord& container = pod.containers[index];
  const base::Duration delay = BackOff(container);
  if (delay == base::Duration{}) {
    runtime_.StartContainer(pod.handle, index, container.restarts + 1);
    return;
  }
  container.state = State::kBackOff;
  client_.loop().After(delay, [this, weak = std::weak_ptr(alive_), handle = pod.handle, index] {
    if (weak.expired()) return;
    PodRecord* const now = Of(handle);
    if (now == nullptr || now->stopping || now->terminal()) return;
    runtime_.StartContainer(handle, index, now->containers[index].restarts + 1);
  });
}

void PodManager::SetPhase(PodRecord& pod, Phase phase) {
  if (pod.phase == phase) return;
  if (pod.phase == Phase::kRunning) --running_;
  if (phase == Phase::kRunning) ++running_;
  pod.phase = phase;
}

void PodManager::EndIfDone(PodRecord& pod) {
  bool failed = false;
  for (size_t i = pod.spec->init_containers.size(); i < pod.containers.size(); ++i) {
    const ContainerRecord& container = pod.containers[i];
    if (container.state != State::kTerminated || Restarts(pod, container.exit_code)) return;
    failed |= container.exit_code != 0;
  }
  if (pod.containers.empty()) return;
  SetPhase(pod, failed ? Phase::kFailed : Phase::kSucceeded);
  Finish(pod);
}

void PodManager::Finish(PodRecord& pod) {
  runtime_.RemovePod(pod.handle);
  by_handle_.erase(pod.handle);
  if (std::exchange(pod.admitted, false)) nodes_.Release(pod.node, *pod.spec);
}

// ---- What the runtime says

void PodManager::SandboxReady(PodHandle handle, std::string_view ip) {
  PodRecord* const pod = Of(handle);
  if (pod == nullptr) return;
  pod->ip = ip;
  StartNext(*pod);
}

void PodManager::ContainerStarted(PodHandle handle, size_t index) {
  PodRecord* const pod = Of(handle);
  if (pod == nullptr) return;
  ContainerRecord& container = pod->containers[index];
  if (container.finished != absl::InfinitePast()) ++container.restarts;
  container.state = State::kRunning;
  container.started = now_();
  const size_t inits = pod->spec->init_containers.size();
  if (index < inits) {
    if (pod->spec->at(index).sidecar && index == pod->running_inits) {
      ++pod->running_inits;
      StartNext(*pod);
    }
  } else if (std::none_of(pod->containers.begin() + static_cast<std::ptrdiff_t>(inits),
                          pod->containers.end(),
                          [](const ContainerRecord& c) { return c.state == State::kCreating; })) {
    SetPhase(*pod, Phase::kRunning);
  }
  writes_.Add(pod->key);
}

void PodManager::ContainerReady(PodHandle handle, size_t index, bool ready) {
  PodRecord* const pod = Of(handle);
  if (pod == nullptr || pod->containers[index].state != State::kRunning) return;
  const bool before = pod->Ready();
  pod->containers[index].ready = ready;
  if (pod->Ready() != before) pod->ready_changed = now_();
  writes_.Add(pod->key);
}

void PodManager::ContainerExited(PodHandle handle, size_t index, int exit_code) {
  PodRecord* const pod = Of(handle);
  if (pod == nullptr) return;
  const bool before = pod->Ready();
  ContainerRecord& container = pod->containers[index];
  container.state = State::kTerminated;
  container.ready = false;
  container.exit_code = exit_code;
  container.last_started = container.started;
  container.finished = now_();
  if (before) pod->ready_changed = container.finished;
  writes_.Add(pod->key);
  if (index < pod->spec->init_containers.size()) {
    if (exit_code == 0 && index == pod->running_inits) {
      ++pod->running_inits;
      StartNext(*pod);
    } else if (exit_code != 0 && pod->spec->restart_policy == RestartPolicy::kNever) {
      SetPhase(*pod, Phase::kFailed);
      Finish(*pod);
    } else {
      RestartLater(*pod, index);
    }
  } else if (Restarts(*pod, exit_code)) {
    RestartLater(*pod, index);
  } else {
    EndIfDone(*pod);
  }
}

void PodManager::PodStopped(PodHandle handle, int exit_code) {
  PodRecord* const pod = Of(handle);
  if (pod == nullptr) return;
  bool failed = false;
  for (ContainerRecord& container : pod->containers) {
    if (container.state != State::kTerminated) {
      container.exit_code = container.state == State::kRunning ? exit_code : 137;
      if (container.state != State::kRunning) container.started = now_();
      container.last_started = container.started;
      container.finished = now_();
      container.state = State::kTerminated;
    }
    container.ready = false;
    failed |= container.exit_code != 0;
  }
  if (!pod->terminal()) {
    pod->ready_changed = now_();
    SetPhase(*pod, failed ? Phase::kFailed : Phase::kSucceeded);
  }
  pod->stopped = true;
  Finish(*pod);
  writes_.Add(pod->key);
}

// ---- What the API is told

void PodManager::Write(const ObjectKey& key, Done done) {
  const auto found = pods_.find(key);
  if (found == pods_.end()) return done(absl::OkStatus());
  PodRecord& pod = *found->second;
  const HollowNode& node = nodes_.at(pod.node);
  if (node.down || node.gone) return done(absl::OkStatus());
  if (!pod.stopped) {
    // Nothing to say of one that was not yet looked at, or whose end is known.
    if (pod.start == absl::InfinitePast() || (pod.terminal() && pod.end_written)) {
      return done(absl::OkStatus());
    }
    return WriteStatus(pod, std::move(done));
  }
  if (pod.deleted) return done(absl::OkStatus());
  if (pod.has_finalizers && !pod.end_written && pod.start != absl::InfinitePast()) {
    return WriteStatus(pod, std::move(done));
  }
  Delete(pod, std::move(done));
}

void PodManager::WriteStatus(PodRecord& pod, Done done) {
  const absl::Duration back_off = [&] {
    absl::Duration longest;
    for (const ContainerRecord& c : pod.containers) {
      if (c.state == State::kBackOff) longest = std::max(longest, absl::FromChrono(BackOff(c)));
    }
    return longest;
  }();
  pod.written_ready = pod.Ready();
  const bool end = pod.terminal();
  ++status_writes_;
  client_.Patch(
      Pods(), pod.key.ns, pod.key.name, kStrategicPatch,
      StatusPatch(pod, nodes_.at(pod.node).ip, back_off),
      [this, weak = std::weak_ptr(alive_), key = pod.key, uid = pod.uid, end,
       done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
        if (weak.expired()) return;
        const auto found = pods_.find(key);
        const bool there = found != pods_.end() && found->second->uid == uid;
        if (!answer.ok()) {
          const bool vanished = !there || IsReason(answer.status(), "NotFound");
          if (!vanished) {
            base::Log().debug("status not written pod={} error={}", key.ToString(),
                              base::ToStd(answer.status().message()));
          }
          return done(vanished ? absl::OkStatus() : answer.status());
        }
        if (there) {
          PodRecord& written = *found->second;
          if (answer->is_object()) {
            written.written_version =
                std::max(written.written_version, VersionOf(answer->get_object()));
          }
          written.end_written |= end;
          if (written.stopped && !written.deleted) writes_.Add(key);
        }
        done(absl::OkStatus());
      },
      "status");
}

void PodManager::Delete(PodRecord& pod, Done done) {
  const json::value options{{"kind", "DeleteOptions"},
                            {"apiVersion", "v1"},
                            {"gracePeriodSeconds", 0},
                            {"preconditions", {{"uid", pod.uid}}}};
  client_.Delete(Pods(), pod.key.ns, pod.key.name, options,
                 [this, weak = std::weak_ptr(alive_), key = pod.key, uid = pod.uid,
                  done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
                   if (weak.expired()) return;
                   const auto found = pods_.find(key);
                   const bool there = found != pods_.end() && found->second->uid == uid;
                   const bool vanished = !there || IsReason(answer.status(), "NotFound") ||
                                         IsReason(answer.status(), "Conflict");
                   if (!answer.ok() && !vanished) return done(answer.status());
                   if (there) found->second->deleted = true;
                   done(absl::OkStatus());
                 });
}

}  // namespace keel::orchestrator
