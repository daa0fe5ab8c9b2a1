// Kubernetes' protobuf form of objects, read: what kubectl (since 1.32) and other Go clients send
// when they create and delete.
//
//   if (media_type == kProtobufType) {
//     KEEL_ASSIGN_OR_RETURN(json::object pod, DecodeProtobuf(body));
//   }
//
// A body is the four bytes "k8s" and zero, then a message that names apiVersion and kind and holds
// the object's own message. What comes out is the object as the same client would have written it
// in JSON. Answers are not encoded so: every such client takes JSON.
//
// The messages of Kubernetes 1.35's built-in kinds are known (types.txt; read_types.py writes it);
// a kind that is not among them is UnsupportedMediaType, a body that is damaged BadRequest. Unknown
// fields are skipped, as protobuf has it.
//
// Pure; thread-safe.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

absl::StatusOr<json::object> DecodeProtobuf(std::string_view body);

}  // namespace keel::orchestrator
