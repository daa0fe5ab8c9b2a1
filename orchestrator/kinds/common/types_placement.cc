#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

const char kPlacementTypes[] = R"(
# Where a pod may and would rather run.
Affinity {
  nodeAffinity     NodeAffinity     -- By labels of nodes.
  podAffinity      PodAffinity      -- Near other pods.
  podAntiAffinity  PodAntiAffinity  -- Away from other pods.
}
# Where a pod may and would rather run, by labels of nodes.
NodeAffinity {
  requiredDuringSchedulingIgnoredDuringExecution   NodeSelector -- Must hold when the pod is placed.
  preferredDuringSchedulingIgnoredDuringExecution  [PreferredSchedulingTerm] atomic -- Counts for a node.
}
# A union of terms.
NodeSelector atomic {
  nodeSelectorTerms!  [NodeSelectorTerm] atomic  -- One of them must hold.
}
# Requirements that must all hold.
NodeSelectorTerm atomic {
  matchExpressions  [NodeSelectorRequirement] atomic  -- On labels.
  matchFields       [NodeSelectorRequirement] atomic  -- On fields (metadata.name).
}
# A key, an operator and values.
NodeSelectorRequirement {
  key!       string           -- The label or field.
  operator!  string           -- In, NotIn, Exists, DoesNotExist, Gt or Lt.
  values     [string] atomic  -- What is compared with.
}
# A term and what it counts.
PreferredSchedulingTerm {
  weight!      int32             -- What it counts, 1 to 100.
  preference!  NodeSelectorTerm  -- The term.
}
# Near other pods.
PodAffinity {
  requiredDuringSchedulingIgnoredDuringExecution   [PodAffinityTerm] atomic -- Must hold when the pod is placed.
  preferredDuringSchedulingIgnoredDuringExecution  [WeightedPodAffinityTerm] atomic -- Counts for a node.
}
# Away from other pods.
PodAntiAffinity {
  requiredDuringSchedulingIgnoredDuringExecution   [PodAffinityTerm] atomic -- Must hold when the pod is placed.
  preferredDuringSchedulingIgnoredDuringExecution  [WeightedPodAffinityTerm] atomic -- Counts against a node.
}
# Pods, and how near is near.
PodAffinityTerm {
  labelSelector      LabelSelector    -- Which pods; null: none.
  namespaces         [string] atomic  -- Of which namespaces; empty: the pod's own.
  topologyKey!       string           -- Nodes with the same value of this label are one place.
  namespaceSelector  LabelSelector    -- Of which namespaces, by their labels.
  matchLabelKeys     [string] atomic  -- Keys whose values of the pod are added to the selector.
  mismatchLabelKeys  [string] atomic  -- Keys whose values of the pod are excluded.
}
# A term and what it counts.
WeightedPodAffinityTerm {
  weight!           int32            -- What it counts, 1 to 100.
  podAffinityTerm!  PodAffinityTerm  -- The term.
}
# A taint that the pod puts up with.
Toleration {
  key                string  -- The taint's key; empty with Exists: all.
  operator           string  -- Exists or Equal (if empty).
  value              string  -- The taint's value.
  effect             string  -- NoSchedule, PreferNoSchedule or NoExecute; empty: all.
  tolerationSeconds  int64   -- How long NoExecute is put up with.
}
# Keeps pods that do not tolerate it off a node.
Taint {
  key!       string  -- Its key.
  value      string  -- Its value.
  effect!    string  -- NoSchedule, PreferNoSchedule or NoExecute.
  timeAdded  time    -- When it was added.
}
# How pods are spread over places.
TopologySpreadConstraint {
  maxSkew!            int32            -- By how many pods places may differ.
  topologyKey!        string           -- Nodes with the same value of this label are one place.
  whenUnsatisfiable!  string           -- DoNotSchedule or ScheduleAnyway.
  labelSelector       LabelSelector    -- Which pods are counted.
  minDomains          int32            -- How many places there must be.
  nodeAffinityPolicy  string           -- Whether nodes that affinity excludes count: Honor or Ignore.
  nodeTaintsPolicy    string           -- Whether tainted nodes count: Honor or Ignore.
  matchLabelKeys      [string] atomic  -- Keys whose values of the pod are added to the selector.
}
)";

}  // namespace keel::orchestrator
