#include "orchestrator/apiserver/bootstrap.h"

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {

void Bootstrap::Run() {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    Ensure({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}});
  }
  if (options_.port != 0) EnsureService();
}

void Bootstrap::EnsureService() {
  const json::object metadata = {
      {"name", "kubernetes"},
      {"namespace", "default"},
      {"labels", {{"component", "apiserver"}, {"provider", "kubernetes"}}}};
  const ServiceAddresses* addresses = objects_.addresses();
  if (addresses == nullptr) return;
  Ensure({{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", metadata},
          {"spec",
           {{"type", "ClusterIP"},
            {"clusterIP", addresses->ranges().ApiServerIp()},
            {"ports", json::array{json::object{{"name", "https"},
                                               {"port", 443},
                                               {"protocol", "TCP"},
                                               {"targetPort", options_.port}}}}}}});
  Ensure(
      {{"apiVersion", "v1"},
       {"kind", "Endpoints"},
       {"metadata",
        {{"name", "kubernetes"},
         {"namespace", "default"},
         {"labels", {{"endpointslice.kubernetes.io/skip-mirror", "true"}}}}},
       {"subsets",
        json::array{json::object{
            {"addresses", json::array{json::object{{"ip", options_.advertise_address}}}},
            {"ports", json::array{json::object{
                          {"name", "https"}, {"port", options_.port}, {"protocol", "TCP"}}}}}}}});
  Ensure({{"apiVersion", "discovery.k8s.io/v1"},
          {"kind", "EndpointSlice"},
          {"metadata",
           {{"name", "kubernetes"},
            {"namespace", "default"},
            {"labels", {{"kubernetes.io/service-name", "kubernetes"}}}}},
          {"addressType", "IPv4"},
          {"endpoints",
           json::array{json::object{{"addresses", json::array{options_.advertise_address}},
                                    {"conditions", {{"ready", true}}}}}},
          {"ports", json::array{json::object{
                        {"name", "https"}, {"port", options_.port}, {"protocol", "TCP"}}}}});
}

void Bootstrap::Ensure(json::object object, int64_t mod_revision) {
  ServerContext& context = objects_.context();
  const std::string api_version(StringAt(object, {"apiVersion"}));
  const size_t slash = api_version.find('/');
  const KindPtr kind = context.kinds.FindByKind(
      slash == std::string::npos ? "" : api_version.substr(0, slash),
      slash == std::string::npos ? api_version : api_version.substr(slash + 1),
      StringAt(object, {"kind"}));
  if (kind == nullptr) return;  // a server without that kind
  const std::string ns(StringAt(object, {"metadata", "namespace"}));
  const std::string name(StringAt(object, {"metadata", "name"}));
  const std::string resource = kind->resource();
  if (mod_revision == 0 && context.cache.Resource(resource).Find(ns, name) != nullptr) return;
  objects_.writer().Write(
      {.resource = resource, .ns = ns, .name = name, .create = mod_revision == 0},
      [this, kind, wanted = std::move(object),
       mod_revision](const json::object* before) -> absl::StatusOr<WritePlan> {
        WritePlan plan{.object = wanted};
        if (before != nullptr) {
          if (StringAt(*before, {"metadata", "resourceVersion"}) != std::to_string(mod_revision)) {
            plan.what = WritePlan::What::kNothing;
          }
          return plan;
        }
        objects_.MakeNew(*kind, plan.object);
        json::value value = std::move(plan.object);
        ApplyDefaults(objects_.context().kinds.SchemaOf(*kind), value);
        plan.object = std::move(value.as_object());
        if (kind->set_defaults) kind->set_defaults(plan.object);
        if (kind->prepare) kind->prepare(plan.object, nullptr);
        KEEL_RETURN_IF_ERROR(objects_.Reserve(*kind, nullptr, plan));
        KEEL_RETURN_IF_ERROR(objects_.presenter().ToStored(*kind, plan.object));
        return plan;
      },
      [resource, name](absl::StatusOr<Written> written) {
        if (written.ok() || IsReason(written.status(), "AlreadyExists")) return;
        base::Log().warn(
            "an object that every cluster has is missing resource={} name={} "
            "reason={}",
            resource, name, base::ToStd(written.status().message()));
      });
}

}  // namespace keel::orchestrator
