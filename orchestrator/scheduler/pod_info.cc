#include "orchestrator/scheduler/pod_info.h"

namespace keel::orchestrator::sched {

Vocabulary::Vocabulary() {
  Resource("cpu");
  Resource("memory");
  Resource("ephemeral-storage");
}

size_t Vocabulary::Resource(std::string_view name) {
  const Symbol symbol = symbols.Of(name);
  const auto [found, is_new] = resources.emplace(symbol, resource_names.size());
  if (is_new) resource_names.push_back(symbol);
  return found->second;
}

TaintEffect ParseTaintEffect(std::string_view text) {
  return text == "NoSchedule"         ? TaintEffect::kNoSchedule
         : text == "PreferNoSchedule" ? TaintEffect::kPreferNoSchedule
         : text == "NoExecute"        ? TaintEffect::kNoExecute
                                      : TaintEffect::kAny;
}

bool Tolerated(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(),
                     [&](const Toleration& t) { return t.Tolerates(taint); });
}

}  // namespace keel::orchestrator::sched
