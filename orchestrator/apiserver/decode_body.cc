#include "orchestrator/apiserver/decode_body.h"

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/protobuf/decode.h"
#include "orchestrator/apiserver/negotiation.h"
#include "orchestrator/apiserver/yaml.h"

namespace keel::orchestrator {

absl::StatusOr<json::value> DecodeBody(std::string_view content_type, std::string_view body,
                                       std::string_view what,
                                       std::vector<std::string>* duplicates) {
  KEEL_ASSIGN_OR_RETURN(const BodyType type, NegotiateBody(content_type));
  if (type == BodyType::kProtobuf) return DecodeProtobuf(body);
  auto value = type == BodyType::kYaml ? ParseYaml(body) : ParseJson(body, duplicates);
  if (value.ok()) return value;
  return BadRequest(
      base::StrCat("error decoding ", what, ": ", base::ToStd(value.status().message())));
}

}  // namespace keel::orchestrator
