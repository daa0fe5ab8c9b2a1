#include "orchestrator/apiserver/object_codec.h"

#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

constexpr std::string_view kMetadata = R"("metadata":{)";
constexpr std::string_view kRevision = R"("resourceVersion":")";

void Member(std::string_view name, const json::value& value, std::string& out) {
  out += out.size() == 1 ? "" : ",";
  out += json::serialize(json::string_view(name.data(), name.size()));
  out += ':';
  out += ToJson(value);
}

// Where the members of metadata begin in bytes of EncodeForStore; npos for others. What stands
// before is apiVersion and kind, neither of which can contain a quoted brace.
size_t MetadataAt(std::string_view bytes) {
  constexpr size_t kFarthest = 1024;
  const size_t at = bytes.substr(0, kFarthest).find(kMetadata);
  if (at == std::string_view::npos || !bytes.starts_with(R"({"apiVersion":)")) {
    return std::string_view::npos;
  }
  const size_t brace = bytes.find('{', 1);
  return brace == at + kMetadata.size() - 1 ? brace + 1 : std::string_view::npos;
}

std::string Splice(std::string_view bytes, size_t at, size_t skip, int64_t revision) {
  const std::string number = base::StrCat(revision);
  const bool last = bytes[at + skip] == '}';
  std::string out;
  out.reserve(bytes.size() + kRevision.size() + number.size() + 2);
  out.append(bytes.substr(0, at)).append(kRevision).append(number).append(last ? "\"" : "\",");
  out.append(bytes.substr(at + skip));
  return out;
}

}  // namespace

std::string EncodeForStore(json::object& object) {
  if (json::object* metadata = object["metadata"].if_object(); metadata != nullptr) {
    metadata->erase("resourceVersion");
    metadata->erase("selfLink");
  } else {
    object["metadata"] = json::object();
  }
  std::string out = "{";
  for (const std::string_view first : {"apiVersion", "kind", "metadata"}) {
    Member(first, object[json::string_view(first.data(), first.size())], out);
  }
  for (const auto& [name, value] : object) {
    if (name == "apiVersion" || name == "kind" || name == "metadata") continue;
    Member({name.data(), name.size()}, value, out);
  }
  out += '}';
  return out;
}

absl::StatusOr<std::string> WithRevision(std::string_view stored, int64_t revision) {
  if (const size_t at = MetadataAt(stored);
      at != std::string_view::npos && !stored.substr(at).starts_with(kRevision)) {
    return Splice(stored, at, 0, revision);
  }
  KEEL_ASSIGN_OR_RETURN(json::value value, ParseJson(stored));
  json::object* object = value.if_object();
  if (object == nullptr) return absl::InvalidArgumentError("the stored value is no object");
  const std::string bytes = EncodeForStore(*object);
  return Splice(bytes, MetadataAt(bytes), 0, revision);
}

std::string ReplaceRevision(std::string_view sent, int64_t revision) {
  const size_t at = MetadataAt(sent);
  const size_t end = sent.find('"', at + kRevision.size()) + 1;
  return Splice(sent, at, end - at + (sent[end] == ',' ? 1 : 0), revision);
}

std::optional<StoreKey> ParseStoreKey(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix) || key.size() <= prefix.size() || key[prefix.size()] != '/') {
    return std::nullopt;
  }
  key.remove_prefix(prefix.size() + 1);
  StoreKey out;
  const size_t first = key.find('/');
  if (first == std::string_view::npos) return std::nullopt;
  out.resource = key.substr(0, first);
  key.remove_prefix(first + 1);
  if (const size_t second = key.find('/'); second != std::string_view::npos) {
    out.ns = key.substr(0, second);
    key.remove_prefix(second + 1);
  }
  out.name = key;
  if (out.name.empty() || out.name.find('/') != std::string_view::npos) return std::nullopt;
  return out;
}

std::string MakeStoreKey(std::string_view prefix, std::string_view resource, std::string_view ns,
                         std::string_view name) {
  return ns.empty() ? base::StrCat(prefix, "/", resource, "/", name)
                    : base::StrCat(prefix, "/", resource, "/", ns, "/", name);
}

}  // namespace keel::orchestrator
