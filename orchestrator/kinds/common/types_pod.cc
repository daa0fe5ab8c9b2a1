#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

const char kPodTypes[] = R"(
# What pods that are made look like.
PodTemplateSpec {
  metadata  ObjectMeta  -- Labels and annotations of the pods.
  spec      PodSpec     -- The pods.
}
# What runs in a pod, and how.
PodSpec {
  volumes                        [Volume] key(name) retainkeys           -- Volumes that its containers may mount.
  initContainers                 [Container] key(name)                   -- Run one after the other before all else.
  containers!                    [Container] key(name)                   -- What runs; at least one.
  ephemeralContainers            [EphemeralContainer] key(name)          -- Put in later to look into the pod.
  restartPolicy                  string = "Always" enum(Always, OnFailure, Never) -- Always, OnFailure or Never.
  terminationGracePeriodSeconds  int64 = 30                              -- Seconds to end by itself.
  activeDeadlineSeconds          int64                                   -- Seconds that it may run.
  dnsPolicy                      string = "ClusterFirst" enum(ClusterFirst, ClusterFirstWithHostNet, Default, None) -- How names are resolved.
  nodeSelector                   {string} atomic                         -- Labels that the node must have.
  serviceAccountName             string                                  -- The service account that it runs as.
  serviceAccount                 string                                  -- Deprecated: use serviceAccountName.
  automountServiceAccountToken   bool                                    -- Whether a token is mounted.
  nodeName                       string                                  -- The node that it runs on; set by the scheduler.
  hostNetwork                    bool                                    -- Uses the node's network.
  hostPID                        bool                                    -- Sees the node's processes.
  hostIPC                        bool                                    -- Uses the node's IPC.
  shareProcessNamespace          bool                                    -- Its containers see each other's processes.
  securityContext                PodSecurityContext = {}                 -- Rights of all its processes.
  imagePullSecrets               [LocalObjectReference] key(name) dups        -- Secrets to pull images with.
  hostname                       string                                  -- Its host name; its own name if empty.
  subdomain                      string                                  -- Its subdomain.
  affinity                       Affinity                                -- Where it may and would rather run.
  schedulerName                  string = "default-scheduler"            -- Who places it.
  tolerations                    [Toleration] atomic                     -- Taints that it puts up with.
  hostAliases                    [HostAlias] key(ip) dups                     -- Further lines of its hosts file.
  priorityClassName              string                                  -- The class that gives its priority.
  priority                       int32                                   -- Higher is placed first; set from the class.
  dnsConfig                      PodDNSConfig                            -- Further settings of name resolution.
  readinessGates                 [PodReadinessGate] atomic               -- Conditions that must hold for it to be ready.
  runtimeClassName               string                                  -- The runtime.
  enableServiceLinks             bool = true                             -- Tell services in variables of the environment.
  preemptionPolicy               string                                  -- Never or PreemptLowerPriority.
  overhead                       {quantity}                              -- What the runtime itself needs.
  topologySpreadConstraints      [TopologySpreadConstraint] key(topologyKey, whenUnsatisfiable) dups -- How it is spread.
  setHostnameAsFQDN              bool                                    -- Its host name is the full one.
  os                             PodOS                                   -- The operating system.
  hostUsers                      bool                                    -- Uses the node's users.
  schedulingGates                [PodSchedulingGate] key(name)           -- It is not placed while there are any.
  resourceClaims                 [PodResourceClaim] key(name)            -- Claims of devices.
  resources                      ResourceRequirements                    -- Of the whole pod.
  hostnameOverride               string                                  -- Wins over hostname and subdomain.
}
# The operating system.
PodOS {
  name!  string  -- linux or windows.
}
# A condition that must hold for the pod to be ready.
PodReadinessGate {
  conditionType!  string  -- The condition.
}
# Keeps the pod from being placed.
PodSchedulingGate {
  name!  string  -- Its name.
}
# A claim of devices.
PodResourceClaim {
  name!                      string  -- Its name in the pod.
  resourceClaimName          string  -- The claim.
  resourceClaimTemplateName  string  -- The template of the claim.
}
# A line of the hosts file.
HostAlias {
  ip!        string           -- The address.
  hostnames  [string] atomic  -- Its names.
}
# Settings of name resolution.
PodDNSConfig {
  nameservers  [string] atomic                -- Further servers.
  searches     [string] atomic                -- Further search domains.
  options      [PodDNSConfigOption] atomic    -- Further options.
}
# An option of name resolution.
PodDNSConfigOption {
  name   string  -- Its name.
  value  string  -- Its value.
}
)";

const char kPodStatusTypes[] = R"(
# What is known of a running pod.
PodStatus {
  observedGeneration          int64                        -- The generation that the status is about.
  phase                       string                       -- Pending, Running, Succeeded, Failed or Unknown.
  conditions                  [PodCondition] key(type) dups     -- Aspects of its state.
  message                     string                       -- Why it is in this state, for people.
  reason                      string                       -- Why it is in this state, as one word.
  nominatedNodeName           string                       -- The node where others make room for it.
  hostIP                      string                       -- Address of its node.
  hostIPs                     [HostIP] atomic              -- All addresses of its node.
  podIP                       string                       -- Its address.
  podIPs                      [PodIP] key(ip)              -- All its addresses.
  startTime                   time                         -- When its node took it on.
  initContainerStatuses       [ContainerStatus] atomic     -- Its init containers.
  containerStatuses           [ContainerStatus] atomic     -- Its containers.
  qosClass                    string                       -- Guaranteed, Burstable or BestEffort.
  ephemeralContainerStatuses  [ContainerStatus] atomic     -- Its ephemeral containers.
  resize                      string                       -- How far a change of resources has come.
  resourceClaimStatuses       [PodResourceClaimStatus] key(name) retainkeys -- Its claims.
  extendedResourceClaimStatus any                          -- Claims made for extended resources.
  allocatedResources          {quantity}                   -- What is set aside for the whole pod.
  resources                   ResourceRequirements         -- What is in effect for the whole pod.
}
# A claim of a pod.
PodResourceClaimStatus {
  name!              string  -- Its name in the pod.
  resourceClaimName  string  -- The claim.
}
# An address of a node.
HostIP {
  ip!  string  -- The address.
}
# An address of a pod.
PodIP {
  ip!  string  -- The address.
}
# One aspect of a pod's state.
PodCondition {
  type!               string         -- Which aspect.
  observedGeneration  int64          -- The generation that it is about.
  status!             string         -- True, False or Unknown.
  lastProbeTime       time nullable  -- When it was last looked at.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
}
# What is known of a container.
ContainerStatus {
  name!                     string                -- The container.
  state                     ContainerState        -- What it is doing.
  lastState                 ContainerState        -- What it did before.
  ready!                    bool                  -- Whether it takes requests.
  restartCount!             int32                 -- How often it has been restarted.
  image!                    string                -- The image that it runs.
  imageID!                  string                -- The image's identifier.
  containerID               string                -- The container's identifier.
  started                   bool                  -- Whether it has come up.
  allocatedResources        {quantity}            -- What is set aside for it.
  resources                 ResourceRequirements  -- What is in effect for it.
  volumeMounts              [VolumeMountStatus] key(mountPath) -- Its mounts.
  user                      ContainerUser         -- Who its first process runs as.
  allocatedResourcesStatus  [ResourceStatus] key(name) -- The health of its devices.
  stopSignal                string                -- The signal that stops it.
}
# The health of devices.
ResourceStatus {
  name!      string                             -- The resource.
  resources  [ResourceHealth] key(resourceID)   -- The devices.
}
# The health of a device.
ResourceHealth {
  resourceID!  string  -- The device.
  health       string  -- Healthy, Unhealthy or Unknown.
}
# Who a process runs as.
ContainerUser {
  linux  LinuxContainerUser  -- On Linux.
}
# Who a process runs as on Linux.
LinuxContainerUser {
  uid!                int64           -- The user.
  gid!                int64           -- The group.
  supplementalGroups  [int64] atomic  -- Further groups.
}
# A mount of a container.
VolumeMountStatus {
  name!              string  -- The volume.
  mountPath!         string  -- The path in the container.
  readOnly           bool    -- Whether it is read-only.
  recursiveReadOnly  string  -- Whether mounts below are read-only too.
}
# What a container is doing; one of them.
ContainerState {
  waiting     ContainerStateWaiting     -- It has not started yet.
  running     ContainerStateRunning     -- It runs.
  terminated  ContainerStateTerminated  -- It has ended.
}
# Why a container has not started yet.
ContainerStateWaiting {
  reason   string  -- As one word.
  message  string  -- For people.
}
# Since when a container runs.
ContainerStateRunning {
  startedAt  time nullable  -- When it was started.
}
# How a container ended.
ContainerStateTerminated {
  exitCode!    int32          -- Its exit code.
  signal       int32          -- The signal that ended it.
  reason       string         -- Why, as one word.
  message      string         -- Why, for people.
  startedAt    time nullable  -- When it was started.
  finishedAt   time nullable  -- When it ended.
  containerID  string         -- The container's identifier.
}
)";

}  // namespace keel::orchestrator
