#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"
#include "orchestrator/kinds/common/volume_columns.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kSources[] = {"gcePersistentDisk",
                                         "awsElasticBlockStore",
                                         "hostPath",
                                         "glusterfs",
                                         "nfs",
                                         "rbd",
                                         "iscsi",
                                         "cinder",
                                         "cephfs",
                                         "fc",
                                         "flocker",
                                         "flexVolume",
                                         "azureFile",
                                         "vsphereVolume",
                                         "quobyte",
                                         "azureDisk",
                                         "photonPersistentDisk",
                                         "portworxVolume",
                                         "scaleIO",
                                         "local",
                                         "storageos",
                                         "csi"};

std::string_view SourceOf(const json::object& object) {
  for (std::string_view source : kSources) {
    if (Find(object, {"spec", source}) != nullptr) return source;
  }
  return {};
}

void Check(const json::object& object, FieldErrors& errors) {
  if (ArrayAt(object, {"spec", "accessModes"}).empty()) {
    errors.Required("spec.accessModes", "");
  }
  const json::object& capacity = ObjectAt(object, {"spec", "capacity"});
  if (capacity.empty()) {
    errors.Required("spec.capacity", "");
  } else if (capacity.size() > 1 || !capacity.contains("storage")) {
    errors.NotSupported("spec.capacity", capacity, {"storage"});
  } else if (const auto size = Quantity::FromJson(capacity.at("storage"));
             size.ok() && size->Sign() <= 0) {
    errors.InvalidValue("spec.capacity[storage]", json::value(size->ToString()),
                        "must be greater than zero");
  }
  size_t count = 0;
  for (std::string_view source : kSources) {
    if (Find(object, {"spec", source}) == nullptr) continue;
    if (++count > 1) {
      errors.Forbidden(base::StrCat("spec.", source), "may not specify more than 1 volume type");
    }
  }
  if (count == 0) errors.Required("spec", "must specify a volume type");
  if (const json::value* required = Find(object, {"spec", "nodeAffinity", "required"})) {
    CheckNodeSelector(*required, "spec.nodeAffinity.required", errors);
  } else if (SourceOf(object) == "local") {
    errors.Required("spec.nodeAffinity", "Local volume requires node affinity");
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  const std::string_view source = SourceOf(before);
  if (source.empty()) return;
  const json::value* now = Find(object, {"spec", source});
  if (now == nullptr || *now != *Find(before, {"spec", source})) {
    errors.Forbidden("spec.persistentvolumesource",
                     "spec.persistentvolumesource is immutable after creation\n");
  }
}

json::value ClaimCell(const json::object& object, absl::Time) {
  const std::string_view name = StringAt(object, {"spec", "claimRef", "name"});
  if (name.empty()) return "";
  return json::value(base::StrCat(StringAt(object, {"spec", "claimRef", "namespace"}), "/", name));
}

}  // namespace

Kind PersistentVolumeKind() {
  return {
      .version = "v1",
      .kind = "PersistentVolume",
      .plural = "persistentvolumes",
      .short_names = {"pv"},
      .namespaced = false,
      .types = R"(
# A volume of the cluster that a claim may have.
PersistentVolume {
  spec    PersistentVolumeSpec    -- What it is.
  status  PersistentVolumeStatus  -- Who has it.
}
# What a volume is.
PersistentVolumeSpec {
  capacity                       {quantity}                            -- How big it is.
  accessModes                    [string] atomic                       -- How it may be mounted.
  claimRef                       ObjectReference                       -- The claim that has it.
  persistentVolumeReclaimPolicy  string = "Retain" enum(Delete, Recycle, Retain) -- What becomes of it when the claim is gone.
  storageClassName               string                                -- Its class.
  mountOptions                   [string] atomic                       -- Options to mount it with.
  volumeMode                     string = "Filesystem" enum(Block, Filesystem) -- File system or block device.
  nodeAffinity                   VolumeNodeAffinity                    -- From which nodes it can be reached.
  volumeAttributesClassName      string                                -- Its class of attributes.
  hostPath                       HostPathVolumeSource                  -- A path of the node.
  nfs                            NFSVolumeSource                       -- An NFS export.
  local                          LocalVolumeSource                     -- A disk of one node.
  csi                            CSIPersistentVolumeSource             -- A volume of a CSI driver.
  fc                             FCVolumeSource                        -- A Fibre Channel disk.
  iscsi                          any                                   -- An iSCSI disk.
  gcePersistentDisk              GCEPersistentDiskVolumeSource         -- Deprecated: a disk of GCE.
  awsElasticBlockStore           AWSElasticBlockStoreVolumeSource      -- Deprecated: a disk of AWS.
  glusterfs                      any                                   -- Deprecated: a Glusterfs volume.
  rbd                            any                                   -- Deprecated: a Ceph block device.
  cinder                         any                                   -- Deprecated: a disk of OpenStack.
  cephfs                         any                                   -- Deprecated: a Ceph file system.
  flocker                        any                                   -- Deprecated: a Flocker volume.
  flexVolume                     any                                   -- Deprecated: a volume of a plug-in program.
  azureFile                      any                                   -- Deprecated: an Azure file share.
  vsphereVolume                  any                                   -- Deprecated: a vSphere disk.
  quobyte                        any                                   -- Deprecated: a Quobyte volume.
  azureDisk                      any                                   -- Deprecated: an Azure disk.
  photonPersistentDisk           any                                   -- Deprecated: a Photon disk.
  portworxVolume                 any                                   -- Deprecated: a Portworx volume.
  scaleIO                        any                                   -- Deprecated: a ScaleIO volume.
  storageos                      any                                   -- Deprecated: a StorageOS volume.
}
# A disk of one node.
LocalVolumeSource {
  path!   string  -- Its path on the node.
  fsType  string  -- Its file system.
}
# A volume of a CSI driver.
CSIPersistentVolumeSource {
  driver!                     string           -- The driver.
  volumeHandle!               string           -- The driver's name of the volume.
  readOnly                    bool             -- Mount it read-only.
  fsType                      string           -- Its file system.
  volumeAttributes            {string}         -- Attributes for the driver.
  controllerPublishSecretRef  SecretReference  -- The secret to attach with.
  nodeStageSecretRef          SecretReference  -- The secret to stage with.
  nodePublishSecretRef        SecretReference  -- The secret to mount with.
  controllerExpandSecretRef   SecretReference  -- The secret to grow with.
  nodeExpandSecretRef         SecretReference  -- The secret to grow with on the node.
}
# From which nodes a volume can be reached.
VolumeNodeAffinity {
  required  NodeSelector  -- The nodes.
}
# Who has a volume.
PersistentVolumeStatus {
  phase                    string  -- Pending, Available, Bound, Released or Failed.
  message                  string  -- Why, for people.
  reason                   string  -- Why, as one word.
  lastPhaseTransitionTime  time    -- When the phase last changed.
}
)",
      .columns =
          {CapacityColumn({"spec", "capacity"}),
           CellColumn(
               "Access Modes", "string", 0,
               [](const json::object& object, absl::Time) -> json::value {
                 return json::value(AccessModesText(ArrayAt(object, {"spec", "accessModes"})));
               }),
           TextColumn("Reclaim Policy", {"spec", "persistentVolumeReclaimPolicy"}), PhaseColumn(),
           CellColumn("Claim", "string", 0, ClaimCell), StorageClassColumn(),
           TextColumn("VolumeAttributesClass", {"spec", "volumeAttributesClassName"}, "<unset>"),
           TextColumn("Reason", {"status", "reason"}), AgeColumn(),
           TextColumn("VolumeMode", {"spec", "volumeMode"}, "<unset>", 1)},
      .has_status = true,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"phase", "Pending"}});
          },
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
