// Columns that several kinds have.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

using Path = std::vector<std::string>;

const json::value* FindPath(const json::object& in, const Path& path);
// `otherwise` when it is missing or no integer.
int64_t IntAtPath(const json::object& in, const Path& path, int64_t otherwise = 0);

Column IntColumn(std::string name, Path path, int64_t missing = 0, int priority = 0);
Column BoolColumn(std::string name, Path path, int priority = 0);
// A label selector object as text, "<none>" when it is empty.
Column SelectorColumn(Path path, std::string name = "Selector", int priority = 1);
// A map of labels as text: "a=b,c=d", "<none>".
Column MapColumn(std::string name, Path path, int priority = 0);
// How long ago the time at that path is; `missing` when there is none.
Column SinceColumn(std::string name, Path path, std::string missing);
// Containers and Images of a pod template, for -o wide.
std::vector<Column> ContainerColumns(Path pod_spec = {"spec", "template", "spec"});
Column CellColumn(std::string name, std::string type, int priority,
                  std::function<json::value(const json::object&, absl::Time)> cell);
// The columns with others after them.
std::vector<Column> Join(std::vector<Column> first, std::vector<Column> more);

std::string FormatMap(const json::object& map);
std::string JoinNames(const json::array& objects, std::string_view member);

}  // namespace keel::orchestrator
