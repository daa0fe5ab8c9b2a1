#include "orchestrator/api/patch.h"

#include <charconv>

#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kMaxOperations = 10000;
constexpr size_t kMaxCopiedBytes = size_t{32} << 20;

json::string_view Name(std::string_view name) { return {name.data(), name.size()}; }

// RFC 7386, section 2.
void Merge(json::value& target, json::value& patch) {
  json::object* members = patch.if_object();
  if (members == nullptr) {
    target = std::move(patch);
    return;
  }
  if (!target.is_object()) target = json::object();
  json::object& object = target.get_object();
  for (auto& member : *members) {
    if (!member.value().is_null()) {
      Merge(object[member.key()], member.value());
    } else if (auto found = object.find(member.key()); found != object.end()) {
      object.stable_erase(found);
    }
  }
}

// What an operation is about to duplicate, in bytes, roughly; stops counting at `limit`.
size_t SizeOf(const json::value& value, size_t limit) {
  size_t size = sizeof(json::value);
  if (const json::string* text = value.if_string()) {
    size += text->size();
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& item : *array) {
      if (size > limit) break;
      size += SizeOf(item, limit - size);
    }
  } else if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) {
      if (size > limit) break;
      size += member.key().size() + SizeOf(member.value(), limit - size);
    }
  }
  return size;
}

// Kubernetes' answer to a patch that is well-formed but cannot be done; ours says why.
absl::Status CannotDo(std::string_view why) {
  return ApiError{
      .code = 422,
      .reason = "Invalid",
      .message = "the server rejected our request due to an error in our request",
      .details = {{"causes", json::array{json::object{
                                 {"reason", "UnexpectedServerResponse"},
                                 {"message", json::string_view(why.data(), why.size())}}}}}}
      .ToStatus();
}

// RFC 6901: "/a~1b/0" is {"a/b", "0"}.
absl::StatusOr<std::vector<std::string>> ParsePointer(std::string_view pointer) {
  std::vector<std::string> steps;
  if (pointer.empty()) return steps;
  if (pointer.front() != '/') {
    return BadRequest(base::StrCat("JSON patch: not a JSON pointer: \"", pointer, "\""));
  }
  for (size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      steps.emplace_back();
    } else if (pointer[i] == '~' && i + 1 < pointer.size() &&
               (pointer[i + 1] == '0' || pointer[i + 1] == '1')) {
      steps.back() += pointer[++i] == '0' ? '~' : '/';
    } else {
      steps.back() += pointer[i];
    }
  }
  return steps;
}

bool ParseIndex(std::string_view text, size_t& index) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  return error == std::errc() && end == text.data() + text.size();
}

json::value* Child(json::value& in, std::string_view step) {
  if (json::object* object = in.if_object()) return object->if_contains(Name(step));
  size_t index = 0;
  json::array* array = in.if_array();
  if (array == nullptr || !ParseIndex(step, index) || index >= array->size()) return nullptr;
  return &(*array)[index];
}

class JsonPatcher {
 public:
  explicit JsonPatcher(json::value& root) : root_(root) {}

  absl::Status Do(json::value& operation) {
    json::object* object = operation.if_object();
    if (object == nullptr) return BadRequest("JSON patch: an operation must be an object");
    const std::string_view op = StringAt(*object, {"op"});
    const json::value* path = object->if_contains("path");
    if (path == nullptr || !path->is_string()) {
      return BadRequest("JSON patch: an operation must have a path");
    }
    path_ = View(path->get_string());
    KEEL_ASSIGN_OR_RETURN(const Steps steps, ParsePointer(path_));
    if (op == "remove") return Remove(steps, nullptr);
    if (op == "move" || op == "copy") return MoveOrCopy(op, *object, steps);
    if (op != "add" && op != "replace" && op != "test") {
      return BadRequest(base::StrCat("JSON patch: unknown operation \"", op, "\""));
    }
    json::value* value = object->if_contains("value");
    if (value == nullptr) {
      return BadRequest(base::StrCat("JSON patch: ", op, " must have a value"));
    }
    if (op == "add") return Add(steps, std::move(*value));
    json::value* target = Get(steps);
    if (op == "test") {
      // A test for null holds for what is not there, as Kubernetes has it.
      const bool same = target == nullptr ? value->is_null() : *target == *value;
      if (same) return absl::OkStatus();
      return CannotDo(base::StrCat("testing value ", path_, " failed: test failed"));
    }
    if (target == nullptr) return Missing(op);
    *target = std::move(*value);
    return absl::OkStatus();
  }

 private:
  using Steps = std::vector<std::string>;

  absl::Status Missing(std::string_view op) const {
    return CannotDo(base::StrCat(op, " operation does not apply: doc is missing path: \"", path_,
                                 "\": missing value"));
  }

  json::value* Get(const Steps& steps, size_t leave_out = 0) {
    json::value* at = &root_;
    for (size_t i = 0; i + leave_out < steps.size() && at != nullptr; ++i)
      at = Child(*at, steps[i]);
    return at;
  }

  absl::Status Add(const Steps& steps, json::value value) {
    if (steps.empty()) {
      root_ = std::move(value);
      return absl::OkStatus();
    }
    json::value* parent = Get(steps, 1);
    if (parent == nullptr) return Missing("add");
    if (json::object* object = parent->if_object()) {
      (*object)[Name(steps.back())] = std::move(value);
      return absl::OkStatus();
    }
    json::array* array = parent->if_array();
    if (array == nullptr) return Missing("add");
    size_t index = array->size();
    if (steps.back() != "-" && (!ParseIndex(steps.back(), index) || index > array->size())) {
      return CannotDo(base::StrCat("add operation does not apply: no such index: ", path_));
    }
    array->insert(array->begin() + index, std::move(value));
    return absl::OkStatus();
  }

  // `removed` (if given) takes what was there.
  absl::Status Remove(const Steps& steps, json::value* removed) {
    json::value* target = Get(steps);
    if (target == nullptr || steps.empty()) return Missing("remove");
    if (removed != nullptr) *removed = std::move(*target);
    json::value* parent = Get(steps, 1);
    if (json::object* object = parent->if_object()) {
      object->stable_erase(object->find(Name(steps.back())));
    } else {
      json::array& array = parent->get_array();
      array.erase(array.begin() + (target - array.data()));
    }
    return absl::OkStatus();
  }

  absl::Status MoveOrCopy(std::string_view op, const json::object& operation, const Steps& to) {
    const json::value* from_text = operation.if_contains("from");
    if (from_text == nullptr || !from_text->is_string()) {
      return BadRequest(base::StrCat("JSON patch: ", op, " must have a from"));
    }
    const std::string to_path = path_;
    path_ = View(from_text->get_string());
    KEEL_ASSIGN_OR_RETURN(const Steps from, ParsePointer(path_));
    json::value value;
    if (op == "move") {
      if (from == to) return Get(from) != nullptr ? absl::OkStatus() : Missing(op);
      if (to.size() > from.size() && std::equal(from.begin(), from.end(), to.begin())) {
        return CannotDo(base::StrCat("cannot move ", path_, " into itself"));
      }
      KEEL_RETURN_IF_ERROR(Remove(from, &value));
    } else {
      const json::value* source = Get(from);
      if (source == nullptr) return Missing(op);
      copied_ += SizeOf(*source, kMaxCopiedBytes);
      if (copied_ > kMaxCopiedBytes) {
        return TooLarge("the copy operations of the JSON patch copy too much");
      }
      value = *source;
    }
    path_ = to_path;
    return Add(to, std::move(value));
  }

  json::value& root_;
  std::string path_;
  size_t copied_ = 0;
};

}  // namespace

absl::Status ApplyMergePatch(json::value& object, json::value patch) {
  if (!patch.is_object()) return BadRequest("a JSON merge patch must be an object");
  Merge(object, patch);
  return absl::OkStatus();
}

absl::Status ApplyJsonPatch(json::value& object, json::value patch) {
  json::array* operations = patch.if_array();
  if (operations == nullptr) return BadRequest("a JSON patch must be a list of operations");
  if (operations->size() > kMaxOperations) {
    return TooLarge(base::StrCat("The allowed maximum operations in a JSON patch is ",
                                 kMaxOperations, ", got ", operations->size()));
  }
  JsonPatcher patcher(object);
  for (json::value& operation : *operations) KEEL_RETURN_IF_ERROR(patcher.Do(operation));
  return absl::OkStatus();
}

}  // namespace keel::orchestrator
