// A pod stays on a node that is not ready or not reachable for five minutes, unless it says how
// long itself.

#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

constexpr int64_t kSeconds = 300;

bool Tolerates(const json::array& tolerations, std::string_view taint) {
  for (const json::value& one : tolerations) {
    const std::string_view key = StringAt(one, {"key"}), effect = StringAt(one, {"effect"});
    if ((key.empty() || key == taint) && (effect.empty() || effect == "NoExecute")) return true;
  }
  return false;
}

class DefaultTolerationSeconds final : public AdmissionPlugin {
 public:
  absl::Status Mutate(AdmissionRequest& request) override {
    if (!Creates(request, "pods") && !Updates(request, "pods")) return absl::OkStatus();
    for (const std::string_view taint :
         {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
      if (Tolerates(ArrayAt(*request.object, {"spec", "tolerations"}), taint)) continue;
      EnsureArray(*request.object, {"spec", "tolerations"})
          .emplace_back(json::object{{"key", taint},
                                     {"operator", "Exists"},
                                     {"effect", "NoExecute"},
                                     {"tolerationSeconds", kSeconds}});
    }
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeDefaultTolerationSeconds() {
  return std::make_unique<DefaultTolerationSeconds>();
}

}  // namespace keel::orchestrator
