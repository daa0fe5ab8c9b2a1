// The plugins, one file each, named as in kube-scheduler.
//
//   std::unique_ptr<Plugin> fit = NodeResourcesFit(cluster, ScoringStrategy::kLeastAllocated);
//
// The cluster must outlive them. One thread only.
#pragma once

#include <memory>

#include "orchestrator/scheduler/framework.h"

namespace keel::orchestrator::sched {

enum class ScoringStrategy : uint8_t { kLeastAllocated, kMostAllocated };

// Filters.
std::unique_ptr<Plugin> NodeUnschedulable(const Cluster& cluster);  // cordoned nodes
std::unique_ptr<Plugin> NodeName(const Cluster& cluster);           // spec.nodeName
std::unique_ptr<Plugin> NodePorts(const Cluster& cluster);          // host ports
std::unique_ptr<Plugin> VolumeBinding(const Cluster& cluster);      // claims and where volumes are

// Filters and scores.
std::unique_ptr<Plugin> TaintToleration(const Cluster& cluster);
std::unique_ptr<Plugin> NodeAffinity(const Cluster& cluster);
std::unique_ptr<Plugin> NodeResourcesFit(const Cluster& cluster, ScoringStrategy strategy);
std::unique_ptr<Plugin> PodTopologySpread(const Cluster& cluster);
std::unique_ptr<Plugin> InterPodAffinity(const Cluster& cluster);

// Scores.
std::unique_ptr<Plugin> NodeResourcesBalancedAllocation(const Cluster& cluster);
std::unique_ptr<Plugin> ImageLocality(const Cluster& cluster);

// Whether the node is one that spec.nodeSelector and required node affinity ask for.
bool MatchesNodeAffinity(const PodClass& cls, const NodeInfo& node, const Symbols& symbols);
// The first taint that keeps the pod off the node, null when there is none.
const Taint* UntoleratedTaint(const PodClass& cls, const NodeInfo& node);

}  // namespace keel::orchestrator::sched
