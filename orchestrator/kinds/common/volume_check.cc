#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

void CheckMode(const json::value& in, std::string_view member, const std::string& path,
               FieldErrors& errors) {
  const json::value* mode = Find(in, {member});
  if (mode == nullptr || !mode->is_int64()) return;
  if (mode->get_int64() < 0 || mode->get_int64() > 0777) {
    errors.InvalidValue(base::StrCat(path, ".", member), *mode,
                        "must be a number between 0 and 0777 (octal), both inclusive");
  }
}

// A path within the volume.
void CheckInnerPath(const json::value& in, const std::string& path, FieldErrors& errors) {
  if (!RequireText(in, "path", path, errors)) return;
  const std::string_view inner = StringAt(in, {"path"});
  if (inner.starts_with('/')) {
    errors.InvalidValue(path + ".path", json::value(inner), "must be a relative path");
  }
  if (base::StrCat("/", inner, "/").find("/../") != std::string::npos) {
    errors.InvalidValue(path + ".path", json::value(inner), "must not contain '..'");
  }
}

void CheckItems(const json::value& source, const std::string& path, FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& item : ArrayAt(source, {"items"})) {
    const std::string field = base::StrCat(path, ".items[", i++, "]");
    RequireText(item, "key", field, errors);
    CheckInnerPath(item, field, errors);
    CheckMode(item, "mode", field, errors);
  }
}

void CheckDownward(const json::value& source, const std::string& path, FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& item : ArrayAt(source, {"items"})) {
    const std::string field = base::StrCat(path, ".items[", i++, "]");
    CheckInnerPath(item, field, errors);
    CheckMode(item, "mode", field, errors);
    const json::value* of = Find(item, {"fieldRef"});
    const json::value* resource = Find(item, {"resourceFieldRef"});
    if (of != nullptr) CheckFieldRef(*of, field + ".fieldRef", true, errors);
    if (resource != nullptr) {
      CheckResourceFieldRef(*resource, field + ".resourceFieldRef", true, errors);
    }
    if (of != nullptr && resource != nullptr) {
      errors.InvalidValue(field, "resource",
                          "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (of == nullptr && resource == nullptr) {
      errors.Required(field, "one of fieldRef and resourceFieldRef is required");
    }
  }
}

void CheckProjected(const json::value& source, const std::string& path, FieldErrors& errors) {
  CheckMode(source, "defaultMode", path, errors);
  size_t i = 0;
  for (const json::value& part : ArrayAt(source, {"sources"})) {
    const std::string field = base::StrCat(path, ".sources[", i++, "]");
    size_t count = 0;
    for (std::string_view kind : {"secret", "configMap"}) {
      if (const json::value* of = Find(part, {kind})) {
        const std::string inner = base::StrCat(field, ".", kind);
        if (++count > 1) {
          errors.Forbidden(inner, "may not specify more than 1 volume type");
          continue;
        }
        RequireText(*of, "name", inner, errors);
        CheckItems(*of, inner, errors);
      }
    }
    if (const json::value* of = Find(part, {"downwardAPI"})) {
      ++count;
      CheckDownward(*of, field + ".downwardAPI", errors);
    }
    if (const json::value* token = Find(part, {"serviceAccountToken"})) {
      ++count;
      const std::string inner = field + ".serviceAccountToken";
      CheckInnerPath(*token, inner, errors);
      const int64_t seconds = IntAt(*token, {"expirationSeconds"}, 3600);
      if (seconds < 600) {
        errors.InvalidValue(inner + ".expirationSeconds", seconds,
                            "may not specify a duration less than 10 minutes");
      }
    }
    if (count == 0 && part.is_object() && part.get_object().empty()) {
      errors.Required(field, "must specify a source");
    }
  }
}

void CheckSource(const json::value& volume, std::string_view kind, const std::string& path,
                 FieldErrors& errors) {
  const json::value& source = *Find(volume, {kind});
  if (kind == "secret") {
    RequireText(source, "secretName", path, errors);
    CheckMode(source, "defaultMode", path, errors);
    CheckItems(source, path, errors);
  } else if (kind == "configMap") {
    RequireText(source, "name", path, errors);
    CheckMode(source, "defaultMode", path, errors);
    CheckItems(source, path, errors);
  } else if (kind == "persistentVolumeClaim") {
    RequireText(source, "claimName", path, errors);
  } else if (kind == "hostPath") {
    const std::string_view of = StringAt(source, {"path"});
    if (RequireText(source, "path", path, errors) &&
        base::StrCat("/", of, "/").find("/../") != std::string::npos) {
      errors.InvalidValue(path + ".path", json::value(of), "must not contain '..'");
    }
    const std::string_view type = StringAt(source, {"type"});
    const std::vector<std::string> known = {
        "",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
        "File", "FileOrCreate", "Socket"};
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      errors.NotSupported(path + ".type", json::value(type), known);
    }
  } else if (kind == "nfs") {
    RequireText(source, "server", path, errors);
    if (RequireText(source, "path", path, errors) && !StringAt(source, {"path"}).starts_with('/')) {
      errors.InvalidValue(path + ".path", *Find(source, {"path"}), "must be an absolute path");
    }
  } else if (kind == "emptyDir") {
    const json::value* limit = Find(source, {"sizeLimit"});
    if (limit != nullptr && Quantity::Of(*limit).Sign() < 0) {
      errors.Forbidden(path + ".sizeLimit", "SizeLimit field must be a valid resource quantity");
    }
  } else if (kind == "downwardAPI") {
    CheckMode(source, "defaultMode", path, errors);
    CheckDownward(source, path, errors);
  } else if (kind == "projected") {
    CheckProjected(source, path, errors);
  } else if (kind == "csi") {
    RequireText(source, "driver", path, errors);
  }
}

bool IsMapSubscript(std::string_view path, std::string_view map) {
  return path.starts_with(map) && path.substr(map.size()).starts_with("['") &&
         path.ends_with("']") && path.size() > map.size() + 4;
}

}  // namespace

std::set<std::string_view> CheckVolumes(const json::object& spec, std::string_view path,
                                        FieldErrors& errors) {
  std::set<std::string_view> names;
  size_t i = 0;
  for (const json::value& volume : ArrayAt(spec, {"volumes"})) {
    const std::string field = base::StrCat(path, ".volumes[", i++, "]");
    const std::string_view name = StringAt(volume, {"name"});
    if (RequireText(volume, "name", field, errors)) {
      AddComplaints(CheckDns1123Label(name), field + ".name", json::value(name), errors);
      if (!names.insert(name).second) errors.Duplicate(field + ".name", json::value(name));
    }
    if (!volume.is_object()) continue;
    size_t sources = 0;
    for (const auto& [member, value] : volume.get_object()) {
      if (member == "name" || value.is_null()) continue;
      const std::string inner = base::StrCat(field, ".", std::string_view(member));
      if (++sources > 1) {
        errors.Forbidden(inner, "may not specify more than 1 volume type");
      } else {
        CheckSource(volume, member, inner, errors);
      }
    }
    if (sources == 0) errors.Required(field, "must specify a volume type");
  }
  return names;
}

void CheckFieldRef(const json::value& ref, const std::string& path, bool in_volume,
                   FieldErrors& errors) {
  if (!RequireText(ref, "fieldPath", path, errors)) return;
  const std::string_view field = StringAt(ref, {"fieldPath"});
  if (IsMapSubscript(field, "metadata.labels") || IsMapSubscript(field, "metadata.annotations")) {
    return;
  }
  const std::vector<std::string> in_volumes = {"metadata.annotations", "metadata.labels",
                                               "metadata.name", "metadata.namespace",
                                               "metadata.uid"};
  const std::vector<std::string> in_variables = {"metadata.name",
                                                 "metadata.namespace",
                                                 "metadata.uid",
                                                 "spec.nodeName",
                                                 "spec.serviceAccountName",
                                                 "status.hostIP",
                                                 "status.hostIPs",
                                                 "status.podIP",
                                                 "status.podIPs"};
  const std::vector<std::string>& known = in_volume ? in_volumes : in_variables;
  if (std::find(known.begin(), known.end(), field) == known.end()) {
    errors.NotSupported(path + ".fieldPath", json::value(field), known);
  }
}

void CheckResourceFieldRef(const json::value& ref, const std::string& path, bool in_volume,
                           FieldErrors& errors) {
  if (in_volume) RequireText(ref, "containerName", path, errors);
  if (!RequireText(ref, "resource", path, errors)) return;
  const std::string_view resource = StringAt(ref, {"resource"});
  const std::vector<std::string> known = {
      "limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
      "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
  if (std::find(known.begin(), known.end(), resource) == known.end() &&
      !resource.starts_with("limits.hugepages-") && !resource.starts_with("requests.hugepages-")) {
    errors.NotSupported(path + ".resource", json::value(resource), known);
  }
}

}  // namespace keel::orchestrator
