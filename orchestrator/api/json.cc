#include "orchestrator/api/json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>  // Boost.JSON as headers: its code, once in the program.
#include <set>

#include "base/strings.h"
#include "orchestrator/api/json_arena.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kMaxDepth = 1000;

// Walks a text that has been parsed once and finds members named twice.
class DuplicateFinder {
 public:
  static constexpr size_t max_array_size = -1;
  static constexpr size_t max_object_size = -1;
  static constexpr size_t max_string_size = -1;
  static constexpr size_t max_key_size = -1;

  explicit DuplicateFinder(std::vector<std::string>* out) : out_(out) {}

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    levels_.push_back({.is_array = false});
    return true;
  }
  bool on_object_end(size_t, json::error_code&) { return Leave(); }
  bool on_array_begin(json::error_code&) {
    levels_.push_back({.is_array = true});
    return true;
  }
  bool on_array_end(size_t, json::error_code&) { return Leave(); }
  bool on_key_part(json::string_view s, size_t, json::error_code&) {
    key_.append(s.data(), s.size());
    return true;
  }
  bool on_key(json::string_view s, size_t, json::error_code&) {
    key_.append(s.data(), s.size());
    Level& level = levels_.back();
    level.key = key_;
    if (!level.seen.insert(std::move(key_)).second) out_->push_back(Path());
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, size_t, json::error_code&) { return Next(); }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code&) { return Next(); }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return Next(); }
  bool on_double(double, json::string_view, json::error_code&) { return Next(); }
  bool on_bool(bool, json::error_code&) { return Next(); }
  bool on_null(json::error_code&) { return Next(); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  struct Level {
    bool is_array = false;
    size_t index = 0;
    std::string key{};
    std::set<std::string> seen{};
  };

  bool Leave() {
    levels_.pop_back();
    return Next();
  }
  bool Next() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }
  std::string Path() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.is_array) {
        path += base::StrCat("[", level.index, "]");
      } else {
        if (!path.empty()) path += '.';
        path += level.key;
      }
    }
    return path;
  }

  std::vector<std::string>* out_;
  std::vector<Level> levels_;
  std::string key_;
};

template <typename Value, typename Object>
Value* Walk(Object& in, JsonPath path) {
  Object* object = &in;
  Value* found = nullptr;
  size_t left = path.size();
  for (std::string_view name : path) {
    found = object->if_contains(json::string_view(name.data(), name.size()));
    if (found == nullptr) return nullptr;
    if (--left == 0) return found;
    object = found->if_object();
    if (object == nullptr) return nullptr;
  }
  return nullptr;
}

void Pretty(const json::value& value, size_t indent, std::string& out) {
  auto line = [&out](size_t by) {
    out += '\n';
    out.append(by, ' ');
  };
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : *object) {
      if (!first) out += ',';
      first = false;
      line(indent + 2);
      out += json::serialize(key);
      out += ": ";
      Pretty(member, indent + 2, out);
    }
    line(indent);
    out += '}';
  } else if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    bool first = true;
    for (const json::value& member : *array) {
      if (!first) out += ',';
      first = false;
      line(indent + 2);
      Pretty(member, indent + 2, out);
    }
    line(indent);
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

json::parse_options ParseOptions() {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  return options;
}

}  // namespace

absl::StatusOr<json::value> ParseJson(std::string_view text, json::storage_ptr storage) {
  // Where values wait for the end of what they are in.
  unsigned char scratch[4096];
  json::stream_parser parser({}, ParseOptions(), scratch, sizeof scratch);
  parser.reset(std::move(storage));
  json::error_code error;
  const size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error && read < text.size()) error = json::error::extra_data;
  if (!error) parser.finish(error);
  if (error) {
    return absl::InvalidArgumentError(
        base::StrCat("not JSON: ", error.message(), " at byte ", read));
  }
  return parser.release();
}

absl::StatusOr<json::value> ParseJson(std::string_view text, std::vector<std::string>* duplicates) {
  auto parsed = ParseJson(text, json::storage_ptr());
  if (parsed.ok() && duplicates != nullptr) {
    json::basic_parser<DuplicateFinder> finder(ParseOptions(), duplicates);
    json::error_code ignored;
    finder.write_some(false, text.data(), text.size(), ignored);
  }
  return parsed;
}

std::string ToJson(const json::value& value) { return json::serialize(value); }

std::string ToPrettyJson(const json::value& value) {
  std::string out;
  Pretty(value, 0, out);
  return out;
}

const json::value* Find(const json::object& in, JsonPath path) {
  return Walk<const json::value>(in, path);
}
json::value* Find(json::object& in, JsonPath path) { return Walk<json::value>(in, path); }
const json::value* Find(const json::value& in, JsonPath path) {
  const json::object* object = in.if_object();
  return object == nullptr ? nullptr : Find(*object, path);
}
json::value* Find(json::value& in, JsonPath path) {
  json::object* object = in.if_object();
  return object == nullptr ? nullptr : Find(*object, path);
}

namespace {

template <typename In>
std::string_view StringOf(const In& in, JsonPath path) {
  const json::value* found = Find(in, path);
  const json::string* string = found == nullptr ? nullptr : found->if_string();
  return string == nullptr ? std::string_view() : View(*string);
}

template <typename In>
int64_t IntOf(const In& in, JsonPath path, int64_t otherwise) {
  const json::value* found = Find(in, path);
  const int64_t* number = found == nullptr ? nullptr : found->if_int64();
  return number == nullptr ? otherwise : *number;
}

template <typename In>
bool BoolOf(const In& in, JsonPath path, bool otherwise) {
  const json::value* found = Find(in, path);
  const bool* flag = found == nullptr ? nullptr : found->if_bool();
  return flag == nullptr ? otherwise : *flag;
}

template <typename In>
const json::array& ArrayOf(const In& in, JsonPath path) {
  static const json::array& none = *new json::array();
  const json::value* found = Find(in, path);
  const json::array* array = found == nullptr ? nullptr : found->if_array();
  return array == nullptr ? none : *array;
}

template <typename In>
const json::object& ObjectOf(const In& in, JsonPath path) {
  static const json::object& none = *new json::object();
  const json::value* found = Find(in, path);
  const json::object* object = found == nullptr ? nullptr : found->if_object();
  return object == nullptr ? none : *object;
}

}  // namespace

std::string_view StringAt(const json::value& in, JsonPath path) { return StringOf(in, path); }
std::string_view StringAt(const json::object& in, JsonPath path) { return StringOf(in, path); }
int64_t IntAt(const json::value& in, JsonPath path, int64_t otherwise) {
  return IntOf(in, path, otherwise);
}
int64_t IntAt(const json::object& in, JsonPath path, int64_t otherwise) {
  return IntOf(in, path, otherwise);
}
bool BoolAt(const json::value& in, JsonPath path, bool otherwise) {
  return BoolOf(in, path, otherwise);
}
bool BoolAt(const json::object& in, JsonPath path, bool otherwise) {
  return BoolOf(in, path, otherwise);
}
const json::array& ArrayAt(const json::value& in, JsonPath path) { return ArrayOf(in, path); }
const json::array& ArrayAt(const json::object& in, JsonPath path) { return ArrayOf(in, path); }
const json::object& ObjectAt(const json::value& in, JsonPath path) { return ObjectOf(in, path); }
const json::object& ObjectAt(const json::object& in, JsonPath path) { return ObjectOf(in, path); }

json::value* Ensure(json::object& in, JsonPath path) {
  json::object* object = &in;
  json::value* member = nullptr;
  size_t left = path.size();
  for (std::string_view name : path) {
    member = &(*object)[json::string_view(name.data(), name.size())];
    if (--left == 0) break;
    if (!member->is_object()) *member = json::object();
    object = &member->get_object();
  }
  return member;
}

json::value* Ensure(json::value& in, JsonPath path) {
  if (!in.is_object()) in = json::object();
  return Ensure(in.get_object(), path);
}

bool Remove(json::object& in, JsonPath path) {
  json::object* object = &in;
  size_t left = path.size();
  for (std::string_view name : path) {
    const json::string_view key(name.data(), name.size());
    if (--left == 0) return object->erase(key) > 0;
    json::value* member = object->if_contains(key);
    object = member == nullptr ? nullptr : member->if_object();
    if (object == nullptr) return false;
  }
  return false;
}

bool Remove(json::value& in, JsonPath path) {
  json::object* object = in.if_object();
  return object != nullptr && Remove(*object, path);
}

}  // namespace keel::orchestrator
