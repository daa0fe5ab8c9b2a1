// What pods and nodes use of CPU and memory: where the figures of metrics.k8s.io come from.
//
//   HollowUsage source;
//   for (const ContainerUsage& used : source.OfPod(pod)) ... used.usage.cpu.ToString() // "50m"
//
// An agent that measures is another UsageSource. Thread-safety: const methods from any thread.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/api/json.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/apiserver/cached_object.h"

namespace keel::orchestrator {

struct Usage {
  Quantity cpu{};     // cores
  Quantity memory{};  // bytes

  Usage& operator+=(const Usage& other);
  json::object ToJson() const;  // {"cpu": "50m", "memory": "32Mi"}
};

struct ContainerUsage {
  std::string name;
  Usage usage;
};

class UsageSource {
 public:
  virtual ~UsageSource() = default;
  // Whether it has figures for what this node runs.
  virtual bool Knows(const CachedObject& node) const = 0;
  // REQUIRES: the pod is running and ready, on a node that it knows.
  virtual std::vector<ContainerUsage> OfPod(const json::object& pod) const = 0;
  // `pods`: the sum over the pods of the node. REQUIRES: it knows the node.
  virtual Usage OfNode(const CachedObject& node, const Usage& pods) const = 0;
};

// Of nodes that run nothing (orchestrator/node: --runtime=hollow), so that the figures are
// computed: what the pod's annotations say, shared evenly among its containers; else half of what
// each container requests; else a constant. A node uses what its pods do and a little more.
class HollowUsage final : public UsageSource {
 public:
  static constexpr char kCpuAnnotation[] = "keel.io/hollow-cpu";        // a quantity of cores
  static constexpr char kMemoryAnnotation[] = "keel.io/hollow-memory";  // a quantity of bytes

  bool Knows(const CachedObject& node) const override;
  std::vector<ContainerUsage> OfPod(const json::object& pod) const override;
  Usage OfNode(const CachedObject& node, const Usage& pods) const override;
};

// Whether the pod's figures count: it runs and is ready.
bool RunsAndIsReady(const json::object& pod);

}  // namespace keel::orchestrator
