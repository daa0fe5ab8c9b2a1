// What a node agent needs of a pod's spec, parsed once and shared by all pods that are alike.
//
//   PodSpecs specs;
//   std::shared_ptr<const PodSpec> spec = specs.Intern(pod);   // the replicas of a set share one
//
// Immutable. PodSpecs: one thread; it forgets specs that no pod holds any more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// What counts against a node's allocatable.
struct NodeResources {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  int64_t pods = 0;
};

struct ContainerSpec {
  std::string name;
  std::string image;
  int32_t ready_after_seconds = 0;  // readinessProbe.initialDelaySeconds; 0 without a probe
  bool sidecar = false;             // an init container with restartPolicy Always
};

enum class RestartPolicy : uint8_t { kAlways, kOnFailure, kNever };

struct PodSpec {
  std::vector<ContainerSpec> init_containers;
  std::vector<ContainerSpec> containers;
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  // The larger of the sum of the containers and the largest init container, as Kubernetes counts.
  NodeResources requests;
  bool host_network = false;
  std::vector<std::pair<std::string, std::string>> node_selector;
  // Annotations whose names begin with "keel.io/hollow-", without that: for HollowRuntime.
  std::vector<std::pair<std::string, std::string>> settings;

  // Init containers come first.
  size_t size() const { return init_containers.size() + containers.size(); }
  const ContainerSpec& at(size_t index) const {
    return index < init_containers.size() ? init_containers[index]
                                          : containers[index - init_containers.size()];
  }
  // "" when there is none.
  std::string_view Setting(std::string_view name) const;
};

class PodSpecs {
 public:
  std::shared_ptr<const PodSpec> Intern(const json::object& pod);
  size_t size() const { return specs_.size(); }

 private:
  void Sweep();

  absl::flat_hash_map<std::string, std::weak_ptr<const PodSpec>> specs_;
  size_t sweep_at_ = 64;
};

}  // namespace keel::orchestrator
