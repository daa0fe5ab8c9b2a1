#include "orchestrator/scheduler/volumes.h"

namespace keel::orchestrator::sched {

ClaimInfo ParseClaim(const json::object& claim) {
  return {.volume = std::string(StringAt(claim, {"spec", "volumeName"})),
          .storage_class = std::string(StringAt(claim, {"spec", "storageClassName"})),
          .terminating = Find(claim, {"metadata", "deletionTimestamp"}) != nullptr};
}

VolumeInfo ParseVolume(const json::object& volume, Symbols& symbols) {
  VolumeInfo out;
  if (const json::value* required = Find(volume, {"spec", "nodeAffinity", "required"})) {
    out.nodes = ParseNodeSelector(*required, symbols);
  }
  for (std::string_view key :
       {"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"}) {
    std::string_view values = StringAt(volume, {"metadata", "labels", key});
    if (values.empty()) continue;
    // Several zones are joined with "__".
    std::vector<Symbol> symbols_of;
    while (true) {
      const size_t end = values.find("__");
      symbols_of.push_back(symbols.Of(values.substr(0, end)));
      if (end == std::string_view::npos) break;
      values.remove_prefix(end + 2);
    }
    out.zones.emplace_back(symbols.Of(key), std::move(symbols_of));
  }
  return out;
}

}  // namespace keel::orchestrator::sched
