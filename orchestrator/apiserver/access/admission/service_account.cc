// Every pod runs as a service account, and finds its token where Kubernetes' clients look for it.

#include <algorithm>

#include "absl/random/random.h"
#include "absl/strings/cord.h"
#include "base/strings.h"
#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kVolumePrefix = "kube-api-access-";
// A token lasts an hour; the odd seconds mark those that were asked for here.
constexpr int64_t kTokenSeconds = 3607;

// The letters of names that are made up: none that make words.
std::string RandomSuffix() {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  thread_local absl::BitGen random;
  std::string out;
  for (int i = 0; i < 5; ++i) out += kLetters[absl::Uniform<size_t>(random, 0, kLetters.size())];
  return out;
}

json::object TokenVolume(std::string_view name) {
  json::array sources;
  sources.emplace_back(
      json::object{{"serviceAccountToken",
                    json::object{{"expirationSeconds", kTokenSeconds}, {"path", "token"}}}});
  json::array certificate;
  certificate.emplace_back(json::object{{"key", "ca.crt"}, {"path", "ca.crt"}});
  sources.emplace_back(
      json::object{{"configMap", json::object{{"name", "kube-root-ca.crt"},
                                              {"items", std::move(certificate)}}}});
  json::array ns;
  ns.emplace_back(json::object{
      {"path", "namespace"},
      {"fieldRef", json::object{{"apiVersion", "v1"}, {"fieldPath", "metadata.namespace"}}}});
  sources.emplace_back(json::object{{"downwardAPI", json::object{{"items", std::move(ns)}}}});
  return {{"name", name},
          {"projected", json::object{{"sources", std::move(sources)}, {"defaultMode", 420}}}};
}

// Whether a volume is mounted where tokens go.
bool HasMount(const json::value& container) {
  for (const json::value& mount : ArrayAt(container, {"volumeMounts"})) {
    if (StringAt(mount, {"mountPath"}) == kMountPath) return true;
  }
  return false;
}

class ServiceAccount final : public AdmissionPlugin {
 public:
  explicit ServiceAccount(ObjectView& view) : view_(view) {}

  absl::Status Mutate(AdmissionRequest& request) override {
    if (!Creates(request, "pods")) return absl::OkStatus();
    json::object& pod = *request.object;
    // What a node started by itself and only mirrors here.
    if (Find(pod, {"metadata", "annotations", "kubernetes.io/config.mirror"}) != nullptr) {
      return absl::OkStatus();
    }
    std::string name(StringAt(pod, {"spec", "serviceAccountName"}));
    if (name.empty()) name = StringAt(pod, {"spec", "serviceAccount"});
    if (name.empty()) name = "default";
    *Ensure(pod, {"spec", "serviceAccountName"}) = name;
    *Ensure(pod, {"spec", "serviceAccount"}) = name;
    const auto account = view_.Get("serviceaccounts", request.attributes.ns, name);
    if (!account.has_value()) {
      absl::Status refused =
          ForbiddenHere(request, StrCat("error looking up service account ", request.attributes.ns,
                                        "/", name, ": serviceaccount \"", name, "\" not found"));
      // A controller makes it for each new namespace.
      if (name == "default") refused.SetPayload(kMayPassSoon, absl::Cord(""));
      return refused;
    }
    bool mount = BoolAt(*account->object, {"automountServiceAccountToken"}, true);
    mount = BoolAt(pod, {"spec", "automountServiceAccountToken"}, mount);
    if (mount) MountToken(pod);
    if (ArrayAt(pod, {"spec", "imagePullSecrets"}).empty()) {
      const json::array& secrets = ArrayAt(*account->object, {"imagePullSecrets"});
      if (!secrets.empty()) *Ensure(pod, {"spec", "imagePullSecrets"}) = secrets;
    }
    return absl::OkStatus();
  }

 private:
  static void MountToken(json::object& pod) {
    std::string volume;
    for (const json::value& one : ArrayAt(pod, {"spec", "volumes"})) {
      if (StringAt(one, {"name"}).starts_with(kVolumePrefix)) volume = StringAt(one, {"name"});
    }
    const bool there = !volume.empty();
    if (!there) volume = StrCat(kVolumePrefix, RandomSuffix());
    bool needed = false;
    for (const std::string_view list : {"initContainers", "containers"}) {
      json::value* containers = Find(pod, {"spec", list});
      if (containers == nullptr || !containers->is_array()) continue;
      for (json::value& container : containers->get_array()) {
        if (!container.is_object() || HasMount(container)) continue;
        EnsureArray(container.get_object(), {"volumeMounts"})
            .emplace_back(
                json::object{{"name", volume}, {"readOnly", true}, {"mountPath", kMountPath}});
        needed = true;
      }
    }
    if (needed && !there) EnsureArray(pod, {"spec", "volumes"}).emplace_back(TokenVolume(volume));
  }

  ObjectView& view_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeServiceAccount(ObjectView& view) {
  return std::make_unique<ServiceAccount>(view);
}

}  // namespace keel::orchestrator
