// The texts of types (schema.h) that several kinds use, by noun.
#pragma once

#include <string>
#include <string_view>

namespace keel::orchestrator {

extern const char kMetaTypes[];       // ObjectMeta, LabelSelector, references, conditions
extern const char kScaleTypes[];      // what subresources are posted as: Scale, Binding, ...
extern const char kContainerTypes[];  // Container, Probe, Lifecycle, EnvVar, ...
extern const char kSecurityTypes[];   // SecurityContext, PodSecurityContext, ...
extern const char kVolumeTypes[];     // Volume and its sources
extern const char kClaimTypes[];      // PersistentVolumeClaimSpec and its status
extern const char kPlacementTypes[];  // Affinity, Toleration, TopologySpreadConstraint, ...
extern const char kPodTypes[];        // PodSpec, PodTemplateSpec
extern const char kPodStatusTypes[];  // PodStatus, ContainerStatus

// KINDCondition: one aspect of an object's state, in the form that most kinds have.
std::string ConditionType(std::string_view kind);

}  // namespace keel::orchestrator
