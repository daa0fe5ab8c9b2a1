#include "orchestrator/client/watch_lines.h"

#include "base/strings.h"

namespace keel::orchestrator::internal {
namespace {

constexpr std::string_view kTypeIs = R"({"type":")";
constexpr std::string_view kObjectIs = R"(","object":)";

// As every server writes it; false when it is written otherwise.
bool Split(std::string_view line, WatchEvent& event) {
  if (!line.starts_with(kTypeIs) || !line.ends_with('}')) return false;
  const size_t quote = line.find('"', kTypeIs.size());
  if (quote == std::string_view::npos || line.substr(quote, kObjectIs.size()) != kObjectIs) {
    return false;
  }
  event.type = line.substr(kTypeIs.size(), quote - kTypeIs.size());
  event.object = line.substr(quote + kObjectIs.size());
  event.object.remove_suffix(1);
  return true;
}

// The status that ends the watch, or OK.
absl::Status Give(std::string_view line, const std::function<bool(const WatchEvent&)>& each,
                  bool* go_on) {
  WatchEvent event;
  std::string type, object;
  if (!Split(line, event)) {
    const absl::StatusOr<json::value> parsed = ParseJson(line);
    const json::value* body = parsed.ok() ? Find(*parsed, {"object"}) : nullptr;
    if (body == nullptr) return Internal(base::StrCat("no watch event: ", line.substr(0, 100)));
    type = StringAt(*parsed, {"type"});
    object = ToJson(*body);
    event = {type, object};
  }
  if (event.type == "ERROR") {
    const absl::StatusOr<json::value> status = ParseJson(event.object);
    const int code = status.ok() ? static_cast<int>(IntAt(*status, {"code"}, 500)) : 500;
    return StatusFromResponse(code, event.object);
  }
  *go_on = each(event);
  return absl::OkStatus();
}

}  // namespace

absl::Status WatchLines::Add(std::string_view bytes,
                             const std::function<bool(const WatchEvent&)>& each) {
  bool go_on = true;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      rest_.append(bytes);
      return absl::OkStatus();
    }
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    std::string joined;  // not the member: `each` may destroy it
    if (!rest_.empty()) {
      joined.swap(rest_);
      joined.append(line);
      line = joined;
    }
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const absl::Status status = Give(line, each, &go_on);
    if (!go_on) return absl::OkStatus();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace keel::orchestrator::internal
