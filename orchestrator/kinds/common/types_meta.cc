#include "base/strings.h"
#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

const char kMetaTypes[] = R"(
# What every stored object carries: its name, its place, its labels and who owns it.
ObjectMeta {
  name                        string                  -- Unique in its namespace for this kind; cannot be changed.
  generateName                string                  -- A prefix from which the server makes a unique name when name is empty.
  namespace                   string                  -- The space within which the name is unique; cannot be changed.
  selfLink                    string                  -- Deprecated; no longer filled in.
  uid                         string                  -- Unique in time and space; made by the server.
  resourceVersion             string                  -- Changes with each write; compare only for equality.
  generation                  int64                   -- Counts changes of the desired state; set by the server.
  creationTimestamp           time nullable           -- When the server created the object.
  deletionTimestamp           time nullable           -- When the object will be or was asked to be gone; set by the server.
  deletionGracePeriodSeconds  int64                   -- Seconds that the object has to end by itself.
  labels                      {string}                -- Keys and values by which objects are selected.
  annotations                 {string}                -- Keys and values that tools keep with the object; not for selection.
  ownerReferences             [OwnerReference] key(uid) dups -- The objects that this one depends on; it is deleted when all are gone.
  finalizers                  [string] set merge dups      -- Must be empty before the object is removed.
  managedFields               [ManagedFieldsEntry] atomic -- Who set which fields; kept by the server.
}
# A set of fields that one manager set in one way.
ManagedFieldsEntry {
  manager      string  -- The name of who wrote.
  operation    string  -- Apply or Update.
  apiVersion   string  -- The version of the object in which the fields are named.
  time         time    -- When the entry last changed.
  fieldsType   string  -- FieldsV1.
  fieldsV1     any     -- The fields as a tree of names.
  subresource  string  -- The subresource through which was written, if any.
}
# Names an owner in the same namespace (or of the whole cluster).
OwnerReference atomic {
  apiVersion!         string  -- API version of the owner.
  kind!               string  -- Kind of the owner.
  name!               string  -- Name of the owner.
  uid!                string  -- UID of the owner.
  controller          bool    -- Whether this owner is the managing controller.
  blockOwnerDeletion  bool    -- Whether foreground deletion of the owner waits for this object.
}
# A query over labels; all of its requirements must hold. An empty one matches everything.
LabelSelector atomic {
  matchLabels       {string}                            -- Labels that must have exactly these values.
  matchExpressions  [LabelSelectorRequirement] atomic   -- Further requirements.
}
# A key, an operator and values.
LabelSelectorRequirement {
  key!       string           -- The label's key.
  operator!  string           -- In, NotIn, Exists or DoesNotExist.
  values     [string] atomic  -- What In and NotIn compare with.
}
# Names another object.
ObjectReference atomic {
  kind             string  -- Kind of the object.
  namespace        string  -- Namespace of the object.
  name             string  -- Name of the object.
  uid              string  -- UID of the object.
  apiVersion       string  -- API version of the object.
  resourceVersion  string  -- The version of the object that is meant, if a certain one is.
  fieldPath        string  -- The part of the object that is meant, if not all of it.
}
# Names an object of a known kind in the same namespace.
LocalObjectReference atomic {
  name  string       -- Name of the object.
}
# Names an object of a given type in the same namespace.
TypedLocalObjectReference atomic {
  apiGroup  string  -- Group of the object; empty for the core group.
  kind!     string  -- Kind of the object.
  name!     string  -- Name of the object.
}
# Names an object of a given type in any namespace.
TypedObjectReference {
  apiGroup   string  -- Group of the object; empty for the core group.
  kind!      string  -- Kind of the object.
  name!      string  -- Name of the object.
  namespace  string  -- Namespace of the object.
}
# Names a secret in any namespace.
SecretReference atomic {
  name       string  -- Name of the secret.
  namespace  string  -- Namespace of the secret.
}
# One aspect of an object's state.
Condition {
  type!               string maxlen(316)                   -- Which aspect.
  status!             string enum(True, False, Unknown)    -- Whether it holds.
  observedGeneration  int64 min(0)                         -- The generation that the condition is about.
  lastTransitionTime! time                                 -- When the status last changed.
  reason!             string maxlen(1024)                  -- Why, as one word for programs.
  message             string maxlen(32768)                 -- Why, for people.
}
)";

const char kScaleTypes[] = R"(
# The number of replicas of a resource, asked and counted.
Scale {
  apiVersion  string       -- The group and version of this object's schema.
  kind        string       -- The kind of the object, as the API names it.
  metadata    ObjectMeta   -- Of the scaled object.
  spec        ScaleSpec    -- What is wanted.
  status      ScaleStatus  -- What is.
}
# What is wanted of a Scale.
ScaleSpec {
  replicas  int32 min(0)  -- How many replicas are wanted.
}
# What is observed of a Scale.
ScaleStatus {
  replicas!  int32   -- How many replicas there are.
  selector   string  -- The label selector of the replicas as text.
}
# Ties a pod to a node; posted to the pod's binding.
Binding {
  apiVersion  string           -- The group and version of this object's schema.
  kind        string           -- The kind of the object, as the API names it.
  metadata    ObjectMeta       -- Of the pod.
  target!     ObjectReference  -- The node.
}
# Asks for a pod to be evicted as far as disruption budgets let it; posted to the pod's eviction.
Eviction {
  apiVersion     string         -- The group and version of this object's schema.
  kind           string         -- The kind of the object, as the API names it.
  metadata       ObjectMeta     -- Of the pod.
  deleteOptions  DeleteOptions  -- How the pod is deleted.
}
# How an object is deleted.
DeleteOptions {
  apiVersion          string           -- The group and version of this object's schema.
  kind                string           -- The kind of the object, as the API names it.
  gracePeriodSeconds  int64            -- Seconds to end by itself; 0: at once.
  preconditions       Preconditions    -- What must hold for the deletion to happen.
  orphanDependents    bool             -- Deprecated: whether dependents stay.
  propagationPolicy   string           -- Orphan, Background or Foreground.
  dryRun              [string] atomic  -- All: do everything but store.
  ignoreStoreReadErrorWithClusterBreakingPotential bool -- Delete even what can no longer be read.
}
# What must hold of an object for an operation.
Preconditions {
  uid              string  -- Its UID.
  resourceVersion  string  -- Its resource version.
}
# Asks for a token of a service account; posted to its token.
TokenRequest {
  apiVersion  string              -- The group and version of this object's schema.
  kind        string              -- The kind of the object, as the API names it.
  metadata    ObjectMeta          -- Of the service account.
  spec!       TokenRequestSpec    -- What is asked for.
  status      TokenRequestStatus  -- The token.
}
# What token is asked for.
TokenRequestSpec {
  audiences!         [string] atomic       -- For whom the token is; empty: the API server.
  expirationSeconds  int64 = 3600          -- How long it is wanted for.
  boundObjectRef     BoundObjectReference  -- The token ends with this object.
}
# Names the object with which a token ends.
BoundObjectReference {
  kind        string  -- Pod, Secret or Node.
  apiVersion  string  -- v1.
  name        string  -- Name of the object.
  uid         string  -- UID of the object.
}
# The token that was made.
TokenRequestStatus {
  token!                string  -- The token.
  expirationTimestamp!  time    -- When it ends.
}
)";

std::string ConditionType(std::string_view kind) {
  return base::StrCat("# One aspect of a ", kind, "'s state.\n", kind, R"(Condition {
  type!               string         -- Which aspect.
  status!             string         -- True, False or Unknown.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
}
)");
}

}  // namespace keel::orchestrator
