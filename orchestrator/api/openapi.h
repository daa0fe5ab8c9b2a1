// The OpenAPI documents of an API server: what kubectl explains, validates and merges by.
//
//   OpenApi open_api(kinds);
//   open_api.V3Index();                  // GET /openapi/v3
//   open_api.V3("apis/apps/v1");         // GET /openapi/v3/apis/apps/v1; null: 404
//   open_api.V2Json();                   // GET /openapi/v2
//   open_api.V2Proto();                  // the same for application/com.github.proto-openapi...
//
// Definitions and paths of all kinds of the registry, those of CustomResourceDefinitions too, named
// as Kubernetes names them (io.k8s.api.apps.v1.Deployment). A document is made when it is first
// asked for and kept until the registry changes. The texts stay valid while somebody holds them.
// x-kubernetes-validations (CEL) are neither evaluated nor shown.
//
// Thread-safety: none; the registry must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

class OpenApi {
 public:
  using Document = std::shared_ptr<const std::string>;
  // The Content-Type of V2Proto. Clients accept it with an @ before v1.0, but old ones
  // (kubectl 1.20) fail on an answer with one.
  static constexpr std::string_view kV2ProtoMediaType =
      "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

  explicit OpenApi(const KindRegistry& kinds);
  ~OpenApi();

  // {"paths":{"apis/apps/v1":{"serverRelativeURL":"/openapi/v3/apis/apps/v1?hash=..."}}}
  Document V3Index();
  // Of "api/v1" or "apis/GROUP/VERSION"; null when no kind is in it.
  Document V3(std::string_view group_version_path);
  // A text that changes when that document does, for ETag and the hash of the index.
  std::string V3Hash(std::string_view group_version_path);
  Document V2Json();
  // gnostic's openapi.v2.Document (openapi_proto.h).
  Document V2Proto();

 private:
  struct Model;
  Model& Current();

  const KindRegistry& kinds_;
  uint64_t generation_ = 0;
  std::unique_ptr<Model> model_;  // of that generation
};

}  // namespace keel::orchestrator
