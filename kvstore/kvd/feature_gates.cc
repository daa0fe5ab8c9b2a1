#include "kvstore/kvd/feature_gates.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/strings.h"
#include "kvstore/kvd/flags.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr auto kFeatures = std::to_array<FeatureSpec>({
    {"CompactHashCheck", "ALPHA", false, "members compare their history at compacted revisions"},
    {"InitialCorruptCheck", "ALPHA", false, "a member compares its history before it serves"},
    {"LeaseCheckpoint", "ALPHA", false, "no effect: always on"},
    {"LeaseCheckpointPersist", "ALPHA", false, "no effect: always on"},
    {"SetMemberLocalAddr", "ALPHA", false, "no effect: the system chooses the local address"},
    {"StopGRPCServiceOnDefrag", "ALPHA", false, "no effect: defragmentation stops nothing"},
    {"TxnModeWriteWithSharedBuffer", "BETA", true, "no effect: tunes bbolt"},
});

size_t IndexOf(std::string_view name) {
  const auto place = std::find_if(kFeatures.begin(), kFeatures.end(),
                                  [name](const FeatureSpec& each) { return each.name == name; });
  return static_cast<size_t>(place - kFeatures.begin());
}

}  // namespace

std::span<const FeatureSpec> AllFeatures() { return kFeatures; }

FeatureGates::FeatureGates() {
  for (const FeatureSpec& feature : kFeatures) enabled_.push_back(feature.enabled);
}

bool FeatureGates::Enabled(std::string_view name) const {
  KEEL_CHECK(IndexOf(name) < kFeatures.size(), name);
  return enabled_[IndexOf(name)];
}

void FeatureGates::Set(std::string_view name, bool enabled) {
  KEEL_CHECK(IndexOf(name) < kFeatures.size(), name);
  enabled_[IndexOf(name)] = enabled;
}

std::string FeatureGates::Exposition() const {
  std::string out =
      "# HELP etcd_server_feature_enabled Whether or not a feature is enabled. 1 is enabled, 0 is "
      "not.\n# TYPE etcd_server_feature_enabled gauge\n";
  for (size_t i = 0; i < kFeatures.size(); ++i) {
    out += StrCat("etcd_server_feature_enabled{name=\"", kFeatures[i].name, "\",stage=\"",
                  kFeatures[i].stage, "\"} ", enabled_[i] ? 1 : 0, "\n");
  }
  return out;
}

absl::StatusOr<FeatureGates> ParseFeatureGates(std::string_view text) {
  std::vector<std::pair<std::string, bool>> given;
  for (const auto piece : absl::StrSplit(base::ToAbsl(text), ',', absl::SkipWhitespace())) {
    const std::pair<std::string, std::string> word = absl::StrSplit(piece, absl::MaxSplits('=', 1));
    const std::string name(absl::StripAsciiWhitespace(word.first));
    const std::string value(absl::StripAsciiWhitespace(word.second));
    if (piece.find('=') == absl::string_view::npos) {
      return absl::InvalidArgumentError(StrCat("missing bool value for ", name));
    }
    const absl::StatusOr<bool> on = ParseBool(value);
    if (!on.ok()) {
      return absl::InvalidArgumentError(StrCat("invalid value of ", name, "=", value,
                                               ", err: strconv.ParseBool: parsing \"", value,
                                               "\": invalid syntax"));
    }
    if (name != "AllAlpha" && name != "AllBeta" && IndexOf(name) == kFeatures.size()) {
      return absl::InvalidArgumentError(StrCat("unrecognized feature gate: ", name));
    }
    given.emplace_back(name, *on);
  }
  FeatureGates gates;
  for (const auto& [name, on] : given) {
    if (name != "AllAlpha" && name != "AllBeta") continue;
    for (const FeatureSpec& feature : kFeatures) {
      if ((feature.stage == "ALPHA") == (name == "AllAlpha")) gates.Set(feature.name, on);
    }
  }
  for (const auto& [name, on] : given) {
    if (name != "AllAlpha" && name != "AllBeta") gates.Set(name, on);
  }
  return gates;
}

}  // namespace keel::kvstore
