#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

const char kVolumeTypes[] = R"(
# A named volume that the containers of a pod may mount.
Volume {
  name!                  string                             -- Unique in the pod; a DNS label.
  hostPath               HostPathVolumeSource               -- A path of the node.
  emptyDir               EmptyDirVolumeSource               -- A folder that lives as long as the pod.
  gcePersistentDisk      GCEPersistentDiskVolumeSource      -- Deprecated: a disk of GCE.
  awsElasticBlockStore   AWSElasticBlockStoreVolumeSource   -- Deprecated: a disk of AWS.
  gitRepo                GitRepoVolumeSource                -- Deprecated: a Git repository.
  secret                 SecretVolumeSource                 -- The keys of a Secret as files.
  nfs                    NFSVolumeSource                    -- An NFS export.
  iscsi                  ISCSIVolumeSource                  -- An iSCSI disk.
  glusterfs              GlusterfsVolumeSource              -- Deprecated: a Glusterfs volume.
  persistentVolumeClaim  PersistentVolumeClaimVolumeSource  -- The volume of a claim.
  rbd                    RBDVolumeSource                    -- Deprecated: a Ceph block device.
  flexVolume             FlexVolumeSource                   -- Deprecated: a volume of a plug-in program.
  cinder                 CinderVolumeSource                 -- Deprecated: a disk of OpenStack.
  cephfs                 CephFSVolumeSource                 -- Deprecated: a Ceph file system.
  flocker                any                                -- Deprecated: a Flocker volume.
  downwardAPI            DownwardAPIVolumeSource            -- Fields of the pod as files.
  fc                     FCVolumeSource                     -- A Fibre Channel disk.
  azureFile              AzureFileVolumeSource              -- Deprecated: an Azure file share.
  configMap              ConfigMapVolumeSource              -- The keys of a ConfigMap as files.
  vsphereVolume          any                                -- Deprecated: a vSphere disk.
  quobyte                any                                -- Deprecated: a Quobyte volume.
  azureDisk              any                                -- Deprecated: an Azure disk.
  photonPersistentDisk   any                                -- Deprecated: a Photon disk.
  projected              ProjectedVolumeSource              -- Several sources in one folder.
  portworxVolume         any                                -- Deprecated: a Portworx volume.
  scaleIO                any                                -- Deprecated: a ScaleIO volume.
  storageos              any                                -- Deprecated: a StorageOS volume.
  csi                    CSIVolumeSource                    -- A short-lived volume of a CSI driver.
  ephemeral              EphemeralVolumeSource              -- A claim that lives as long as the pod.
  image                  ImageVolumeSource                  -- The contents of an image.
}
# A path of the node.
HostPathVolumeSource {
  path!  string       -- The path on the node.
  type   string = ""  -- What must be there: Directory, File, Socket, ...; empty: no check.
}
# A folder that lives as long as the pod.
EmptyDirVolumeSource {
  medium     string    -- Memory for a file system in memory.
  sizeLimit  quantity  -- How much it may hold.
}
# A disk of GCE.
GCEPersistentDiskVolumeSource {
  pdName!    string  -- The disk.
  fsType     string  -- Its file system.
  partition  int32   -- Its partition.
  readOnly   bool    -- Mount it read-only.
}
# A disk of AWS.
AWSElasticBlockStoreVolumeSource {
  volumeID!  string  -- The disk.
  fsType     string  -- Its file system.
  partition  int32   -- Its partition.
  readOnly   bool    -- Mount it read-only.
}
# A Git repository.
GitRepoVolumeSource {
  repository!  string  -- Its address.
  revision     string  -- The commit.
  directory    string  -- The folder to put it in.
}
# The keys of a Secret as files.
SecretVolumeSource {
  secretName   string             -- Name of the secret.
  items        [KeyToPath] atomic -- Which keys under which names; empty: all.
  defaultMode  int32 = 420        -- Mode of the files.
  optional     bool               -- Whether the secret or keys may be missing.
}
# The keys of a ConfigMap as files.
ConfigMapVolumeSource {
  name         string             -- Name of the ConfigMap.
  items        [KeyToPath] atomic -- Which keys under which names; empty: all.
  defaultMode  int32 = 420        -- Mode of the files.
  optional     bool               -- Whether the ConfigMap or keys may be missing.
}
# A key as a file.
KeyToPath {
  key!   string  -- The key.
  path!  string  -- The file's path in the volume.
  mode   int32   -- The file's mode.
}
# An NFS export.
NFSVolumeSource {
  server!   string  -- Host of the server.
  path!     string  -- The exported path.
  readOnly  bool    -- Mount it read-only.
}
# An iSCSI disk.
ISCSIVolumeSource {
  targetPortal!      string                -- The portal.
  iqn!               string                -- The target's name.
  lun!               int32                 -- The unit's number.
  iscsiInterface     string = "default"    -- The interface.
  fsType             string                -- Its file system.
  readOnly           bool                  -- Mount it read-only.
  portals            [string] atomic       -- Further portals.
  chapAuthDiscovery  bool                  -- Authenticate discovery.
  chapAuthSession    bool                  -- Authenticate the session.
  secretRef          LocalObjectReference  -- The secret to authenticate with.
  initiatorName      string                -- The initiator's name.
}
# A Glusterfs volume.
GlusterfsVolumeSource {
  endpoints!  string  -- The endpoints.
  path!       string  -- The path.
  readOnly    bool    -- Mount it read-only.
}
# The volume of a claim.
PersistentVolumeClaimVolumeSource {
  claimName!  string  -- The claim in the pod's namespace.
  readOnly    bool    -- Mount it read-only.
}
# A Ceph block device.
RBDVolumeSource {
  monitors!  [string] atomic                -- The monitors.
  image!     string                         -- The image.
  fsType     string                         -- Its file system.
  pool       string = "rbd"                 -- The pool.
  user       string = "admin"               -- The user.
  keyring    string = "/etc/ceph/keyring"   -- The key ring.
  secretRef  LocalObjectReference           -- The secret to authenticate with.
  readOnly   bool                           -- Mount it read-only.
}
# A volume of a plug-in program.
FlexVolumeSource {
  driver!    string                -- The driver.
  fsType     string                -- Its file system.
  secretRef  LocalObjectReference  -- The secret to authenticate with.
  readOnly   bool                  -- Mount it read-only.
  options    {string}              -- Options of the driver.
}
# A disk of OpenStack.
CinderVolumeSource {
  volumeID!  string                -- The disk.
  fsType     string                -- Its file system.
  readOnly   bool                  -- Mount it read-only.
  secretRef  LocalObjectReference  -- The secret to authenticate with.
}
# A Ceph file system.
CephFSVolumeSource {
  monitors!   [string] atomic       -- The monitors.
  path        string                -- The path.
  user        string                -- The user.
  secretFile  string                -- The key ring.
  secretRef   LocalObjectReference  -- The secret to authenticate with.
  readOnly    bool                  -- Mount it read-only.
}
# Fields of the pod as files.
DownwardAPIVolumeSource {
  items        [DownwardAPIVolumeFile] atomic  -- The files.
  defaultMode  int32 = 420                     -- Mode of the files.
}
# A field of the pod as a file.
DownwardAPIVolumeFile {
  path!             string                 -- The file's path in the volume.
  fieldRef          ObjectFieldSelector    -- A field of the pod.
  resourceFieldRef  ResourceFieldSelector  -- A resource of a container.
  mode              int32                  -- The file's mode.
}
# A Fibre Channel disk.
FCVolumeSource {
  targetWWNs  [string] atomic  -- Names of the targets.
  lun         int32            -- The unit's number.
  fsType      string           -- Its file system.
  readOnly    bool             -- Mount it read-only.
  wwids       [string] atomic  -- Identifiers of the disk.
}
# An Azure file share.
AzureFileVolumeSource {
  secretName!  string  -- The secret with the account.
  shareName!   string  -- The share.
  readOnly     bool    -- Mount it read-only.
}
# Several sources in one folder.
ProjectedVolumeSource {
  sources      [VolumeProjection] atomic  -- The sources.
  defaultMode  int32 = 420                -- Mode of the files.
}
# One source of a projected volume.
VolumeProjection {
  secret               SecretProjection               -- Keys of a Secret.
  downwardAPI          DownwardAPIProjection          -- Fields of the pod.
  configMap            ConfigMapProjection            -- Keys of a ConfigMap.
  serviceAccountToken  ServiceAccountTokenProjection  -- A token of the pod's service account.
  clusterTrustBundle   ClusterTrustBundleProjection   -- Certificates of authorities.
  podCertificate       any                            -- A certificate of the pod.
}
# Keys of a Secret.
SecretProjection {
  name      string              -- Name of the secret.
  items     [KeyToPath] atomic  -- Which keys under which names; empty: all.
  optional  bool                -- Whether the secret or keys may be missing.
}
# Keys of a ConfigMap.
ConfigMapProjection {
  name      string              -- Name of the ConfigMap.
  items     [KeyToPath] atomic  -- Which keys under which names; empty: all.
  optional  bool                -- Whether the ConfigMap or keys may be missing.
}
# Fields of the pod.
DownwardAPIProjection {
  items  [DownwardAPIVolumeFile] atomic  -- The files.
}
# A token of the pod's service account.
ServiceAccountTokenProjection {
  audience           string        -- For whom the token is; empty: the API server.
  expirationSeconds  int64 = 3600  -- How long it is valid.
  path!              string        -- The file's path in the volume.
}
# Certificates of authorities.
ClusterTrustBundleProjection {
  name           string         -- One bundle.
  signerName     string         -- All bundles of a signer.
  labelSelector  LabelSelector  -- Which bundles of the signer.
  optional       bool           -- Whether bundles may be missing.
  path!          string         -- The file's path in the volume.
}
# A short-lived volume of a CSI driver.
CSIVolumeSource {
  driver!               string                -- The driver.
  readOnly              bool                  -- Mount it read-only.
  fsType                string                -- Its file system.
  volumeAttributes      {string}              -- Attributes for the driver.
  nodePublishSecretRef  LocalObjectReference  -- The secret that the driver gets.
}
# A claim that lives as long as the pod.
EphemeralVolumeSource {
  volumeClaimTemplate  PersistentVolumeClaimTemplate  -- What the claim looks like.
}
# What claims that are made look like.
PersistentVolumeClaimTemplate {
  metadata  ObjectMeta                 -- Labels and annotations of the claim.
  spec!     PersistentVolumeClaimSpec  -- The claim.
}
# The contents of an image.
ImageVolumeSource {
  reference   string  -- The image.
  pullPolicy  string enum(Always, IfNotPresent, Never)  -- When it is pulled.
}
)";

const char kClaimTypes[] = R"(
# What a claim asks for.
PersistentVolumeClaimSpec {
  accessModes                [string] atomic            -- How it may be mounted: ReadWriteOnce, ReadOnlyMany, ...
  selector                   LabelSelector              -- Which volumes may be taken.
  resources                  VolumeResourceRequirements = {} -- How big it must be.
  volumeName                 string                     -- The volume that it is bound to.
  storageClassName           string                     -- The class; without one the default class.
  volumeMode                 string = "Filesystem" enum(Block, Filesystem) -- File system or block device.
  dataSource                 TypedLocalObjectReference  -- What it is filled from.
  dataSourceRef              TypedObjectReference       -- What it is filled from, of any kind.
  volumeAttributesClassName  string                     -- The class of attributes.
}
# How big a volume must be.
VolumeResourceRequirements {
  limits    {quantity}  -- At most.
  requests  {quantity}  -- At least.
}
# How far a claim has come.
PersistentVolumeClaimStatus {
  phase                             string           -- Pending, Bound or Lost.
  accessModes                       [string] atomic  -- How the volume may be mounted.
  capacity                          {quantity}       -- How big the volume is.
  conditions                        [PersistentVolumeClaimCondition] key(type) dups -- Aspects of its state.
  allocatedResources                {quantity}       -- What has been set aside.
  allocatedResourceStatuses         {string}         -- How far a change of size has come.
  currentVolumeAttributesClassName  string           -- The class of attributes in effect.
  modifyVolumeStatus                ModifyVolumeStatus -- How far a change of attributes has come.
}
# How far a change of attributes has come.
ModifyVolumeStatus {
  targetVolumeAttributesClassName  string  -- The class that is wanted.
  status!                          string  -- Pending, InProgress or Infeasible.
}
# One aspect of a claim's state.
PersistentVolumeClaimCondition {
  type!               string         -- Which aspect.
  status!             string         -- Whether it holds.
  lastProbeTime       time nullable  -- When it was last looked at.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
}
)";

}  // namespace keel::orchestrator
