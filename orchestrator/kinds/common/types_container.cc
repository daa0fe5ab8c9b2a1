#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

const char kContainerTypes[] = R"(
# One container that runs within a pod.
Container {
  name!                     string                        -- Unique in the pod; a DNS label.
  image                     string                        -- The image to run.
  command                   [string] atomic               -- The entry point; empty: the image's.
  args                      [string] atomic               -- Arguments of the entry point; empty: the image's.
  workingDir                string                        -- The working folder; empty: the image's.
  ports                     [ContainerPort] key(containerPort, protocol) dups -- Ports that the container listens on.
  envFrom                   [EnvFromSource] atomic        -- Sources whose keys all become variables.
  env                       [EnvVar] key(name) dups            -- Variables of the environment.
  resources                 ResourceRequirements = {}     -- What it asks for and what it may use.
  resizePolicy              [ContainerResizePolicy] atomic -- What a change of resources does to it.
  restartPolicy             string                        -- Always makes an init container run beside the others.
  restartPolicyRules        [ContainerRestartRule] atomic -- When it is restarted, by exit code.
  volumeMounts              [VolumeMount] key(mountPath) dups  -- Volumes of the pod in its file system.
  volumeDevices             [VolumeDevice] key(devicePath) dups -- Block devices that it uses.
  livenessProbe             Probe                         -- It is restarted when this fails.
  readinessProbe            Probe                         -- It gets no requests while this fails.
  startupProbe              Probe                         -- Until this succeeds no other probe runs.
  lifecycle                 Lifecycle                     -- What is done after start and before stop.
  terminationMessagePath    string = "/dev/termination-log" -- The file whose text becomes the message of its end.
  terminationMessagePolicy  string = "File" enum(File, FallbackToLogsOnError) -- Where that message comes from.
  imagePullPolicy           string enum(Always, IfNotPresent, Never) -- When the image is pulled.
  securityContext           SecurityContext               -- Rights of its processes.
  stdin                     bool                          -- Keeps a buffer for standard input.
  stdinOnce                 bool                          -- Closes standard input after the first attach.
  tty                       bool                          -- Gives it a terminal.
}
# A container that is put into a running pod to look into it.
EphemeralContainer {
  name!                     string                        -- Unique in the pod; a DNS label.
  image                     string                        -- The image to run.
  command                   [string] atomic               -- The entry point; empty: the image's.
  args                      [string] atomic               -- Arguments of the entry point; empty: the image's.
  workingDir                string                        -- The working folder; empty: the image's.
  ports                     [ContainerPort] key(containerPort, protocol) dups -- Not allowed here.
  envFrom                   [EnvFromSource] atomic        -- Sources whose keys all become variables.
  env                       [EnvVar] key(name) dups            -- Variables of the environment.
  resources                 ResourceRequirements = {}     -- Not allowed here.
  resizePolicy              [ContainerResizePolicy] atomic -- Not allowed here.
  restartPolicy             string                        -- Not allowed here.
  restartPolicyRules        [ContainerRestartRule] atomic -- Not allowed here.
  volumeMounts              [VolumeMount] key(mountPath) dups  -- Volumes of the pod in its file system.
  volumeDevices             [VolumeDevice] key(devicePath) dups -- Block devices that it uses.
  livenessProbe             Probe                         -- Not allowed here.
  readinessProbe            Probe                         -- Not allowed here.
  startupProbe              Probe                         -- Not allowed here.
  lifecycle                 Lifecycle                     -- Not allowed here.
  terminationMessagePath    string = "/dev/termination-log" -- The file whose text becomes the message of its end.
  terminationMessagePolicy  string = "File" enum(File, FallbackToLogsOnError) -- Where that message comes from.
  imagePullPolicy           string enum(Always, IfNotPresent, Never) -- When the image is pulled.
  securityContext           SecurityContext               -- Rights of its processes.
  stdin                     bool                          -- Keeps a buffer for standard input.
  stdinOnce                 bool                          -- Closes standard input after the first attach.
  tty                       bool                          -- Gives it a terminal.
  targetContainerName       string                        -- The container whose processes it sees.
}
# A port that a container listens on.
ContainerPort {
  name            string          -- A name that services may use; unique in the pod.
  hostPort        int32           -- The port of the node that leads here.
  containerPort!  int32           -- The port in the pod.
  protocol        string = "TCP" enum(SCTP, TCP, UDP) -- UDP, TCP or SCTP.
  hostIP          string          -- The address of the node to which the host port is bound.
}
# A variable of the environment.
EnvVar {
  name!      string        -- The variable's name.
  value      string        -- Its value; $(NAME) stands for an earlier variable.
  valueFrom  EnvVarSource  -- Where its value comes from instead.
}
# Where the value of a variable comes from; one of them.
EnvVarSource {
  fieldRef          ObjectFieldSelector    -- A field of the pod.
  resourceFieldRef  ResourceFieldSelector  -- A resource of the container.
  configMapKeyRef   ConfigMapKeySelector   -- A key of a ConfigMap.
  secretKeyRef      SecretKeySelector      -- A key of a Secret.
  fileKeyRef        FileKeySelector        -- A key of a file in a volume.
}
# A key of a file of variables.
FileKeySelector atomic {
  volumeName!  string        -- The volume that holds the file.
  path!        string        -- The file's path within the volume.
  key!         string        -- The variable's name in the file.
  optional     bool = false  -- Whether it may be missing.
}
# A field of an object.
ObjectFieldSelector atomic {
  apiVersion  string = "v1"  -- The version in which the path is written.
  fieldPath!  string         -- The path, such as metadata.name.
}
# A resource of a container.
ResourceFieldSelector atomic {
  containerName  string          -- Which container; needed in volumes.
  resource!      string          -- Such as limits.cpu.
  divisor        quantity = "0"  -- The unit; 0 stands for 1.
}
# A key of a ConfigMap.
ConfigMapKeySelector atomic {
  name      string       -- Name of the ConfigMap.
  key!      string       -- The key.
  optional  bool         -- Whether it may be missing.
}
# A key of a Secret.
SecretKeySelector atomic {
  name      string       -- Name of the Secret.
  key!      string       -- The key.
  optional  bool         -- Whether it may be missing.
}
# All keys of a ConfigMap or Secret as variables.
EnvFromSource {
  prefix        string              -- Put before each key.
  configMapRef  ConfigMapEnvSource  -- The ConfigMap.
  secretRef     SecretEnvSource     -- The Secret.
}
# A ConfigMap whose keys become variables.
ConfigMapEnvSource {
  name      string       -- Name of the ConfigMap.
  optional  bool         -- Whether it may be missing.
}
# A Secret whose keys become variables.
SecretEnvSource {
  name      string       -- Name of the Secret.
  optional  bool         -- Whether it may be missing.
}
# What is asked for and what may be used of resources.
ResourceRequirements {
  limits    {quantity}                 -- At most this much may be used.
  requests  {quantity}                 -- This much is set aside; where missing, the limit.
  claims    [ResourceClaim] key(name)  -- Claims of the pod that this container uses.
}
# Names a claim of the pod.
ResourceClaim {
  name!    string  -- Its name in spec.resourceClaims.
  request  string  -- One request of the claim.
}
# What a change of a resource does to a running container.
ContainerResizePolicy {
  resourceName!   string  -- cpu or memory.
  restartPolicy!  string  -- NotRequired or RestartContainer.
}
# When a container is restarted, by exit code.
ContainerRestartRule {
  action!    string                           -- Restart.
  exitCodes  ContainerRestartRuleOnExitCodes  -- For which exit codes.
}
# A set of exit codes.
ContainerRestartRuleOnExitCodes {
  operator!  string       -- In or NotIn.
  values     [int32] set  -- The exit codes.
}
# Where a volume of the pod appears in a container.
VolumeMount {
  name!              string  -- The volume.
  readOnly           bool    -- Mount it read-only.
  recursiveReadOnly  string  -- Whether mounts below are read-only too.
  mountPath!         string  -- The path in the container.
  subPath            string  -- The path within the volume.
  mountPropagation   string  -- How mounts spread between node and container.
  subPathExpr        string  -- As subPath, with variables of the environment.
}
# A block device of a container.
VolumeDevice {
  name!        string  -- The claim among the pod's volumes.
  devicePath!  string  -- The path in the container.
}
# A check of a container's health.
Probe {
  exec                           ExecAction       -- Run a command in the container.
  httpGet                        HTTPGetAction    -- Ask over HTTP.
  tcpSocket                      TCPSocketAction  -- Open a connection.
  grpc                           GRPCAction       -- Call gRPC's health service.
  initialDelaySeconds            int32            -- Seconds after start before the first check.
  timeoutSeconds                 int32 = 1        -- Seconds until a check counts as failed.
  periodSeconds                  int32 = 10       -- Seconds between checks.
  successThreshold               int32 = 1        -- Successes in a row that make it healthy.
  failureThreshold               int32 = 3        -- Failures in a row that make it unhealthy.
  terminationGracePeriodSeconds  int64            -- Seconds to end when the check fails.
}
# Run a command in the container.
ExecAction {
  command  [string] atomic  -- The command and its arguments; no shell.
}
# Ask over HTTP.
HTTPGetAction {
  path         string = "/"         -- The path.
  port!        intstr               -- Number or name of the port.
  host         string               -- The host; the pod's address if empty.
  scheme       string = "HTTP"      -- HTTP or HTTPS.
  httpHeaders  [HTTPHeader] atomic  -- Headers to send.
}
# A header of HTTP.
HTTPHeader {
  name!   string  -- Its name.
  value!  string  -- Its value.
}
# Open a TCP connection.
TCPSocketAction {
  port!  intstr  -- Number or name of the port.
  host   string  -- The host; the pod's address if empty.
}
# Call gRPC's health service.
GRPCAction {
  port!    int32        -- The port.
  service  string = ""  -- The service to ask about.
}
# Wait.
SleepAction {
  seconds!  int64  -- How long.
}
# What is done after start and before stop of a container.
Lifecycle {
  postStart   LifecycleHandler  -- Right after it has started.
  preStop     LifecycleHandler  -- Before it is stopped.
  stopSignal  string            -- The signal that stops it.
}
# One thing to do in a container's life.
LifecycleHandler {
  exec       ExecAction       -- Run a command.
  httpGet    HTTPGetAction    -- Ask over HTTP.
  tcpSocket  TCPSocketAction  -- Deprecated; does nothing.
  sleep      SleepAction      -- Wait.
}
)";

const char kSecurityTypes[] = R"(
# Rights of a container's processes; wins over the pod's.
SecurityContext {
  capabilities              Capabilities                   -- Capabilities to add and drop.
  privileged                bool                           -- As root on the node.
  seLinuxOptions            SELinuxOptions                 -- The SELinux context.
  windowsOptions            WindowsSecurityContextOptions  -- For Windows.
  runAsUser                 int64                          -- The user's number.
  runAsGroup                int64                          -- The group's number.
  runAsNonRoot              bool                           -- Refuse to run as root.
  readOnlyRootFilesystem    bool                           -- Make its root file system read-only.
  allowPrivilegeEscalation  bool                           -- Whether a process may gain more rights than its parent.
  procMount                 string                         -- How /proc is mounted.
  seccompProfile            SeccompProfile                 -- The filter of system calls.
  appArmorProfile           AppArmorProfile                -- The AppArmor profile.
}
# Rights of all processes of a pod.
PodSecurityContext {
  seLinuxOptions            SELinuxOptions                 -- The SELinux context.
  windowsOptions            WindowsSecurityContextOptions  -- For Windows.
  runAsUser                 int64                          -- The user's number.
  runAsGroup                int64                          -- The group's number.
  runAsNonRoot              bool                           -- Refuse to run as root.
  supplementalGroups        [int64] atomic                 -- Further groups.
  supplementalGroupsPolicy  string                         -- How the image's groups count.
  fsGroup                   int64                          -- The group that owns volumes.
  sysctls                   [Sysctl] atomic                -- Kernel settings of the pod.
  fsGroupChangePolicy       string                         -- When ownership of volumes is changed.
  seccompProfile            SeccompProfile                 -- The filter of system calls.
  appArmorProfile           AppArmorProfile                -- The AppArmor profile.
  seLinuxChangePolicy       string                         -- How volumes are relabelled.
}
# Capabilities of processes.
Capabilities {
  add   [string] atomic  -- To add.
  drop  [string] atomic  -- To drop.
}
# An SELinux context.
SELinuxOptions {
  user   string  -- Its user.
  role   string  -- Its role.
  type   string  -- Its type.
  level  string  -- Its level.
}
# Rights on Windows.
WindowsSecurityContextOptions {
  gmsaCredentialSpecName  string  -- Name of the credential spec.
  gmsaCredentialSpec      string  -- The credential spec itself.
  runAsUserName           string  -- The user.
  hostProcess             bool    -- Run as a process of the node.
}
# A filter of system calls.
SeccompProfile {
  type!             string  -- Localhost, RuntimeDefault or Unconfined.
  localhostProfile  string  -- A file on the node.
}
# An AppArmor profile.
AppArmorProfile {
  type!             string  -- Localhost, RuntimeDefault or Unconfined.
  localhostProfile  string  -- A profile loaded on the node.
}
# A kernel setting.
Sysctl {
  name!   string  -- Its name.
  value!  string  -- Its value.
}
)";

}  // namespace keel::orchestrator
