// Drives the pods of this process's nodes: what the API says they should be, through the runtime,
// to the status that the API is told (kubelet's pod workers and status manager).
//
//   PodManager pods(client, nodes, runtime, now, {});
//   pods.Start([] { ... });          // one watch of all pods that have a node
//   pods.NodeChanged(7);             // it went down, or came back
//
// A pod: admitted (or rejected: OutOfcpu, ...), sandbox, init containers one by one, containers,
// restarts with a back-off that doubles, an end by its restartPolicy; on deletionTimestamp stopped
// and deleted with grace 0. Statuses are written from a queue in which each pod stands once, so
// that changes that come together are one write. An agent that starts anew takes running pods over
// as they are.
//
// Thread-safety: on the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/node/container_runtime.h"
#include "orchestrator/node/node_set.h"
#include "orchestrator/node/pod_record.h"

namespace keel::orchestrator {

struct PodManagerOptions {
  size_t writers = 32;                                 // statuses that are written at once
  base::Duration back_off = std::chrono::seconds(10);  // --crash-back-off: of the first restart
  base::Duration longest_back_off = std::chrono::minutes(5);
  base::Duration back_off_reset = std::chrono::minutes(10);  // a run as long as this is no crash
  // Says "ContainerCreating" before pods run: worth a write only if starting takes long.
  bool report_creating = false;
};

class PodManager final : private Reflector::Sink, private ContainerRuntime::Events {
 public:
  PodManager(ApiClient& client, NodeSet& nodes, ContainerRuntime& runtime,
             std::function<absl::Time()> now, PodManagerOptions options);
  ~PodManager() override;

  // `on_synced` when all pods are known.
  void Start(std::function<void()> on_synced);
  // `down`, or `gone`, of that node changed.
  void NodeChanged(uint32_t node);

  size_t size() const { return pods_.size(); }
  size_t running() const { return running_; }
  uint64_t status_writes() const { return status_writes_; }
  // Null when there is none.
  const PodRecord* Find(const ObjectKey& key) const;

 private:
  void ListBegins() override;
  void Listed(const json::object& object) override;
  void ListEnds() override;
  void Changed(const json::object& object, bool deleted) override;

  void SandboxReady(PodHandle handle, std::string_view ip) override;
  void ContainerStarted(PodHandle handle, size_t container) override;
  void ContainerReady(PodHandle handle, size_t container, bool ready) override;
  void ContainerExited(PodHandle handle, size_t container, int exit_code) override;
  void PodStopped(PodHandle handle, int exit_code) override;

  void Update(const json::object& object);
  void Drop(const ObjectKey& key);
  // The next step towards what the pod should be, if there is one to take now.
  void Advance(PodRecord& pod);
  void AdmitAndRun(PodRecord& pod);
  void Adopt(PodRecord& pod);
  void StartNext(PodRecord& pod);  // the next init container, or all containers
  void RestartLater(PodRecord& pod, size_t container);
  void SetPhase(PodRecord& pod, PodRecord::Phase phase);
  void EndIfDone(PodRecord& pod);
  void Finish(PodRecord& pod);  // frees what it held
  base::Duration BackOff(const ContainerRecord& container) const;
  PodContext ContextOf(const PodRecord& pod) const;
  PodRecord* Of(PodHandle handle);

  using Done = WorkQueue<ObjectKey>::Done;
  void Write(const ObjectKey& key, Done done);
  void WriteStatus(PodRecord& pod, Done done);
  void Delete(PodRecord& pod, Done done);

  ApiClient& client_;
  NodeSet& nodes_;
  ContainerRuntime& runtime_;
  const std::function<absl::Time()> now_;
  const PodManagerOptions options_;
  PodSpecs specs_;
  PodHandle next_handle_ = 1;
  absl::flat_hash_map<ObjectKey, std::unique_ptr<PodRecord>> pods_;
  absl::flat_hash_map<PodHandle, PodRecord*> by_handle_;
  absl::flat_hash_set<ObjectKey> listed_;
  std::function<void()> on_synced_;
  bool synced_ = false;
  size_t running_ = 0;
  uint64_t status_writes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  WorkQueue<ObjectKey> writes_;
  std::unique_ptr<Reflector> reflector_;
};

}  // namespace keel::orchestrator
