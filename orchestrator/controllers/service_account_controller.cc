#include "orchestrator/controllers/service_account_controller.h"

#include <fstream>
#include <iterator>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/controllers/namespace_controller.h"

namespace keel::orchestrator {

NamespaceDefaults::NamespaceDefaults(ControllerContext& context, Resource resource,
                                     std::string kind, std::string name, json::object wanted)
    : context_(context),
      resource_(std::move(resource)),
      kind_(std::move(kind)),
      name_(std::move(name)),
      wanted_(std::move(wanted)),
      namespaces_(context.shared.Get(kNamespaces)),
      objects_(context.client, resource_,
               {.field_selector = base::StrCat("metadata.name=", name_)}),
      queue_(context.loop, {.workers = 4},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  namespaces_.OnChange([this](const ObjectKey& key, const RawObject*, const RawObject* now) {
    if (now != nullptr) queue_.Add(key);
  });
  objects_.OnChange([this](const ObjectKey& key, const RawObject*, const RawObject*) {
    queue_.Add({"", key.ns});
  });
}

void NamespaceDefaults::Start() {
  objects_.Start([this] { queue_.Resume(); });
}

void NamespaceDefaults::Sync(const ObjectKey& key, Queue::Done done) {
  const RawObject* ns = namespaces_.Find(key);
  if (ns == nullptr || !StringAt(ns->object, {"metadata", "deletionTimestamp"}).empty()) {
    return done(absl::OkStatus());
  }
  const RawObject* found = objects_.Find({key.name, name_});
  if (found == nullptr) {
    json::object object = wanted_;
    object["apiVersion"] = resource_.api_version();
    object["kind"] = kind_;
    object["metadata"] = json::object{{"name", name_}, {"namespace", key.name}};
    return context_.client.Create(
        resource_, key.name, object,
        [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
          const absl::Status& status = answer.status();
          // A namespace that is going refuses.
          const bool fine = status.ok() || IsReason(status, "AlreadyExists") ||
                            IsReason(status, "NotFound") || IsReason(status, "Forbidden");
          done(fine ? absl::OkStatus() : status);
        });
  }
  json::object patch;
  for (const auto& [name, value] : wanted_) {
    const json::value* has = found->object.if_contains(name);
    if (has == nullptr || *has != value) patch[name] = value;
  }
  if (patch.empty()) return done(absl::OkStatus());
  context_.client.Patch(resource_, key.name, name_, kMergePatch, patch,
                        [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
                          done(answer.status());
                        });
}

std::unique_ptr<Controller> MakeServiceAccountController(ControllerContext& context) {
  return std::make_unique<NamespaceDefaults>(context, Resource{"", "v1", "serviceaccounts"},
                                             "ServiceAccount", "default", json::object());
}

namespace {

class Nothing final : public Controller {
 public:
  void Start() override {}
};

}  // namespace

std::unique_ptr<Controller> MakeRootCaPublisher(ControllerContext& context) {
  const std::string path = context.flag("root-ca-file");
  std::ifstream file(path);
  const std::string pem(std::istreambuf_iterator<char>(file), {});
  if (path.empty() || pem.empty()) {
    if (!path.empty()) base::Log().error("--root-ca-file: cannot read {}", path);
    return std::make_unique<Nothing>();
  }
  return std::make_unique<NamespaceDefaults>(context, Resource{"", "v1", "configmaps"}, "ConfigMap",
                                             "kube-root-ca.crt",
                                             json::object{{"data", {{"ca.crt", pem}}}});
}

}  // namespace keel::orchestrator
