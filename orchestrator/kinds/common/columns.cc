#include "orchestrator/kinds/common/columns.h"

#include <map>

#include "base/strings.h"
#include "orchestrator/api/selector.h"

namespace keel::orchestrator {

const json::value* FindPath(const json::object& in, const Path& path) {
  const json::object* object = &in;
  const json::value* found = nullptr;
  for (const std::string& name : path) {
    found = object == nullptr ? nullptr : object->if_contains(name);
    if (found == nullptr) return nullptr;
    object = found->if_object();
  }
  return found;
}

int64_t IntAtPath(const json::object& in, const Path& path, int64_t otherwise) {
  const json::value* found = FindPath(in, path);
  return found != nullptr && found->is_int64() ? found->get_int64() : otherwise;
}

Column CellColumn(std::string name, std::string type, int priority,
                  std::function<json::value(const json::object&, absl::Time)> cell) {
  return {.name = std::move(name),
          .type = std::move(type),
          .priority = priority,
          .cell = std::move(cell)};
}

Column IntColumn(std::string name, Path path, int64_t missing, int priority) {
  return CellColumn(
      std::move(name), "integer", priority,
      [path = std::move(path), missing](const json::object& object, absl::Time) -> json::value {
        return IntAtPath(object, path, missing);
      });
}

Column BoolColumn(std::string name, Path path, int priority) {
  return CellColumn(
      std::move(name), "boolean", priority,
      [path = std::move(path)](const json::object& object, absl::Time) -> json::value {
        const json::value* found = FindPath(object, path);
        return found != nullptr && found->is_bool() && found->get_bool();
      });
}

Column SelectorColumn(Path path, std::string name, int priority) {
  return CellColumn(
      std::move(name), "string", priority,
      [path = std::move(path)](const json::object& object, absl::Time) -> json::value {
        return json::value(FormatLabelSelector(FindPath(object, path)));
      });
}

Column MapColumn(std::string name, Path path, int priority) {
  return CellColumn(
      std::move(name), "string", priority,
      [path = std::move(path)](const json::object& object, absl::Time) -> json::value {
        const json::value* found = FindPath(object, path);
        if (found == nullptr || !found->is_object()) return "<none>";
        return json::value(FormatMap(found->get_object()));
      });
}

Column SinceColumn(std::string name, Path path, std::string missing) {
  return CellColumn(std::move(name), "string", 0,
                    [path = std::move(path), missing = std::move(missing)](
                        const json::object& object, absl::Time now) -> json::value {
                      const json::value* found = FindPath(object, path);
                      if (found == nullptr || !found->is_string()) return json::value(missing);
                      return json::value(AgeOf(View(found->get_string()), now));
                    });
}

std::vector<Column> ContainerColumns(Path pod_spec) {
  auto joined = [&](std::string member) {
    return [pod_spec, member = std::move(member)](const json::object& object,
                                                  absl::Time) -> json::value {
      const json::value* spec = FindPath(object, pod_spec);
      if (spec == nullptr) return "";
      return json::value(JoinNames(ArrayAt(*spec, {"containers"}), member));
    };
  };
  return {CellColumn("Containers", "string", 1, joined("name")),
          CellColumn("Images", "string", 1, joined("image"))};
}

std::vector<Column> Join(std::vector<Column> first, std::vector<Column> more) {
  for (Column& column : more) first.push_back(std::move(column));
  return first;
}

std::string FormatMap(const json::object& map) {
  if (map.empty()) return "<none>";
  std::map<std::string_view, std::string> sorted;
  for (const auto& [key, value] : map) {
    const json::string* text = value.if_string();
    sorted.emplace(std::string_view(key.data(), key.size()),
                   text != nullptr ? std::string(View(*text)) : ToJson(value));
  }
  std::string out;
  for (const auto& [key, value] : sorted) {
    if (!out.empty()) out += ',';
    out += base::StrCat(key, "=", value);
  }
  return out;
}

std::string JoinNames(const json::array& objects, std::string_view member) {
  std::string out;
  for (const json::value& object : objects) {
    if (!out.empty()) out += ',';
    out += StringAt(object, {member});
  }
  return out;
}

}  // namespace keel::orchestrator
