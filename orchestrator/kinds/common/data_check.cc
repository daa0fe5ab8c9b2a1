#include "orchestrator/kinds/common/data_check.h"

#include "base/strings.h"
#include "orchestrator/api/names.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kMaxDataBytes = 1024 * 1024;

}  // namespace

void CheckData(const json::object& object, const std::vector<std::string_view>& members,
               FieldErrors& errors) {
  size_t total = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    const std::string_view member = members[i];
    for (const auto& [key, value] : ObjectAt(object, {member})) {
      const std::string field = base::StrCat(member, "[", std::string_view(key), "]");
      for (const std::string& wrong : CheckDataKey(key)) {
        errors.InvalidValue(field, json::value(key), wrong);
      }
      for (size_t k = 0; k < i; ++k) {
        if (ObjectAt(object, {members[k]}).contains(key)) {
          errors.InvalidValue(field, json::value(key),
                              base::StrCat("duplicate of key present in ", members[k]));
        }
      }
      if (const json::string* text = value.if_string()) {
        // Base64 has four characters for three bytes.
        total += member == "data" && members.size() == 2 ? text->size() : text->size() / 4 * 3;
      }
    }
  }
  if (total > kMaxDataBytes) {
    errors.TooLong(members.size() == 2 ? "" : members[0], kMaxDataBytes);
  }
}

void CheckImmutableData(const json::object& object, const json::object& before,
                        const std::vector<std::string_view>& members, FieldErrors& errors) {
  if (!BoolAt(before, {"immutable"})) return;
  constexpr char kDetail[] = "field is immutable when `immutable` is set";
  if (!BoolAt(object, {"immutable"})) errors.Forbidden("immutable", kDetail);
  for (std::string_view member : members) {
    if (ObjectAt(object, {member}) != ObjectAt(before, {member})) errors.Forbidden(member, kDetail);
  }
}

}  // namespace keel::orchestrator
