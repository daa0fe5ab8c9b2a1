// --feature-gates: etcd's switches of features on their way in.
//
//   KEEL_ASSIGN_OR_RETURN(FeatureGates gates, ParseFeatureGates("InitialCorruptCheck=true"));
//   if (gates.Enabled("InitialCorruptCheck")) ...
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace keel::kvstore {

struct FeatureSpec {
  std::string_view name;
  std::string_view stage;  // "ALPHA" or "BETA", as in etcd 3.6
  bool enabled = false;    // unless said otherwise
  std::string_view help;   // what it does here
};

std::span<const FeatureSpec> AllFeatures();

class FeatureGates {
 public:
  FeatureGates();
  bool Enabled(std::string_view name) const;  // REQUIRES: it is in AllFeatures
  void Set(std::string_view name, bool enabled);

  // Lines of /metrics: etcd_server_feature_enabled.
  std::string Exposition() const;

 private:
  std::vector<bool> enabled_;  // as AllFeatures
};

// "A=true,B=false"; AllAlpha and AllBeta first, whatever the order. InvalidArgument with etcd's
// words.
absl::StatusOr<FeatureGates> ParseFeatureGates(std::string_view text);

}  // namespace keel::kvstore
