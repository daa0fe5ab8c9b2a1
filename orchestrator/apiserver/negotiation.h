// In which form an answer goes out, and a body came in: content negotiation as Kubernetes does it.
//
//   application/json                                            JSON
//   application/yaml                                            YAML
//   application/json;as=Table;v=v1;g=meta.k8s.io                a table of cells (kubectl get)
//   application/json;as=PartialObjectMetadata(List);v=v1;g=...  metadata only
//   application/vnd.kubernetes.protobuf                         of bodies only: in an Accept list
//   the
//                                                               next one counts
//
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace keel::orchestrator {

enum class OutputAs : uint8_t { kObject, kTable, kPartialMetadata, kDiscovery };

struct OutputFormat {
  OutputAs as = OutputAs::kObject;
  std::string as_version{};  // "v1", "v1beta1" of meta.k8s.io; "v2", "v2beta1" of discovery
  bool yaml = false;
  bool pretty = false;
  // Objects travel as they lie in the cache.
  bool plain() const { return as == OutputAs::kObject && !yaml && !pretty; }
};

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kYamlType = "application/yaml";

// NotAcceptable when nothing in the list is spoken. `discovery`: the aggregated forms are, and no
// tables.
absl::StatusOr<OutputFormat> NegotiateOutput(std::string_view accept, bool discovery = false);

enum class BodyType : uint8_t { kJson, kYaml, kProtobuf };
// UnsupportedMediaType for others. An empty header is JSON.
absl::StatusOr<BodyType> NegotiateBody(std::string_view content_type);

// The media type without parameters, in lower case.
std::string MediaTypeOf(std::string_view header);

}  // namespace keel::orchestrator
